"""Writing a bundle: its files, its manifest, and the commit."""
