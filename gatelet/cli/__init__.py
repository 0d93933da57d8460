"""The command line: `gatelet COMMAND`.

Not a place for work: each command is a module here that parses, calls the library and prints.
"""

from gatelet.cli.main import main

__all__ = ["main"]
