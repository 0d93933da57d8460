"""Data files and labels: what train, convert and evaluate share, and no device needs."""
