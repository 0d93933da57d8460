"""The command line, run in this process, for tests of what users do."""

from tests.cli.conftest import cli

__all__ = ["cli"]
