"""Change the card of a model file; its weights stay as they are, bit for bit.

    python tools/edit_card.py FILE --description "What the model does"

The script reads the arrays of FILE again after writing, and fails if a bit differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skvae.storage.model_files import ModelCard, read_summary
from skvae.storage.tensor_files import (
    parse_json,
    read_header,
    read_tensors,
    stored_bytes,
    stored_order,
    write_tensors,
)
from skvae.utils.files import written_whole

#: Fields that the script changes: those that are one text.
FIELDS = ("name", "description", "training_data", "license", "date")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    texts = {name: getattr(arguments, name) for name in FIELDS}
    edit(arguments.file, {name: text for name, text in texts.items() if text})
    print(f"{arguments.file}: {read_summary(arguments.file).card.description}")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="model file, which is replaced")
    for name in FIELDS:
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, metavar="TEXT", help=f"new {name} of the card")
    return parser.parse_args(argv)


def edit(path: Path, changes: dict[str, Any]) -> None:
    """Write the file again with a changed card.

    Parameters
    ----------
    path : Path
        Model file.
    changes : dict
        New values of fields of the card.
    """
    metadata, arrays = read(path)
    description = parse_json(metadata["skvae"])
    description["card"] = ModelCard(**description["card"])._replace(**changes)._asdict()
    text = json.dumps(description, ensure_ascii=False, allow_nan=False)
    checksum = hashlib.sha256(text.encode())
    for name in stored_order(arrays):
        checksum.update(stored_bytes(arrays[name]))
    changed = {"skvae": text, "sha256": checksum.hexdigest()}
    with written_whole(path) as file:
        write_tensors(file, arrays, {**metadata, **changed})
        file.flush()
        _, again = read(Path(file.name))
        if describe(again) != describe(arrays):
            raise RuntimeError(f"{path}: the arrays would change.")


def read(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Metadata and arrays of a model file."""
    with open(path, "rb") as file:
        header = read_header(file)
        arrays = {name: array.copy() for name, array in read_tensors(file, header)}
    return dict(header.metadata), arrays


def describe(arrays: dict[str, np.ndarray]) -> dict[str, tuple[str, Any, bytes]]:
    """Type, shape and bytes of each array."""
    return {k: (x.dtype.str, x.shape, x.tobytes()) for k, x in arrays.items()}


if __name__ == "__main__":
    sys.exit(main())
