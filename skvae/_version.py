"""The version of the package, alone in a file so that the build need not import it."""

__version__ = "0.1.0.dev0"
