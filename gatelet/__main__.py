"""`python -m gatelet` is the `gatelet` command."""

import sys

from gatelet.cli import main

if __name__ == "__main__":
    sys.exit(main())
