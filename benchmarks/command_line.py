"""Types of command-line arguments that several scripts share.

They are checked before any work. This module imports nothing slow or large, because
``peers.py`` measures memory.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path


def output_file(path: str) -> str:
    """File to write. Its folder must exist."""
    if Path(path).is_dir():
        raise ArgumentTypeError(f"{path} is a folder: name a file.")
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise ArgumentTypeError(
            f"{path} must be in an existing folder, got {folder}: make it first."
        )
    return path


def model_name(name: str) -> str:
    """Name of a model of this package, or path of a model file."""
    from skvae.storage.names import model_names
    from skvae.storage.pretrained import find_model_file

    try:
        find_model_file(name)
    except OSError as error:
        raise ArgumentTypeError(str(error)) from error
    except ValueError as error:
        raise ArgumentTypeError(
            f"must be any of {', '.join(model_names())}, or model files, got {name!r}."
        ) from error
    return name
