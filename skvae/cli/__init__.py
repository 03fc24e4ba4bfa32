"""The command line: one module a verb, imported when it is called."""

from skvae.cli.main import main

__all__ = ["main"]
