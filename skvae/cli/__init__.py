"""The command line: one module per verb, imported when the verb is run."""

from skvae.cli.main import main

__all__ = ["main"]
