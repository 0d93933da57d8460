"""The WebAssembly target: a Node child runs what a page would run."""
