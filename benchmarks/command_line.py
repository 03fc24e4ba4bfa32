"""What several scripts take on the command line, checked before any work.

This imports nothing that is slow or large: ``peers.py`` measures memory.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path


def output_file(path: str) -> str:
    """A file to write, which need not be there, in a folder that is."""
    if Path(path).is_dir():
        raise ArgumentTypeError(f"{path} is a folder: name a file.")
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise ArgumentTypeError(
            f"{path} must be in a folder that is there, got {folder}: make it first."
        )
    return path


def model_name(name: str) -> str:
    """A model of this package, by name or file."""
    from skvae.storage.pretrained import find_model_file, model_names

    try:
        find_model_file(name)
    except OSError as error:
        raise ArgumentTypeError(str(error)) from error
    except ValueError as error:
        raise ArgumentTypeError(
            f"must be any of {', '.join(model_names())}, or model files, got {name!r}."
        ) from error
    return name
