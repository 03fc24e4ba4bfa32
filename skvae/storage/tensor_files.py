"""Named arrays and strings in one file: the safetensors format, read defensively.

A file consists of the length of its header (8 bytes, little-endian), the header in
JSON, and the arrays one after another. A file may come from anybody, so every number in
the header is checked against the size of the file before memory is allocated, and the
header must follow the format: no key twice, no gap or overlap between the arrays.

This module does not use the safetensors package, which the tests compare it with. That
package reads arrays one by one only from a memory map, so that a file that is cut off
in the meantime ends the process; otherwise it needs the whole file in memory twice. It
accepts a header in which a key stands twice, so that two readers can understand one
file differently, and headers of up to 100 MB. And it would be one more dependency.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from skvae.utils.words import shortened

#: Names of data types in the format; files with others cannot be read.
DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
}

#: Maximum length of the header. Parsed JSON takes twenty times as much memory.
MAX_HEADER_BYTES = 4 * 2**20

#: Maximum number of digits of an integer in the header: 64 bits.
_MAX_DIGITS = 19

#: Maximum depth of nesting in the header, so that recursion through it ends.
_MAX_DEPTH = 32

#: Maximum number of dimensions of an array, so that multiplying its sizes is fast.
_MAX_DIMENSIONS = 8

_LENGTH = struct.Struct("<Q")
_METADATA = "__metadata__"
_KEYS = frozenset(("dtype", "shape", "data_offsets"))


class Entry(NamedTuple):
    """Place of an array: bytes `start` to `stop` after the header."""

    dtype: np.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


class Header(NamedTuple):
    """Content of a file, except for its arrays.

    Attributes
    ----------
    metadata : dict of str to str
        Strings.
    entries : dict of str to Entry
        Arrays, in the order in which they are stored.
    offset : int
        Position of the first array.
    """

    metadata: dict[str, str]
    entries: dict[str, Entry]
    offset: int


def write_tensors(
    file: BinaryIO, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write a file.

    Parameters
    ----------
    file : binary file
        Open for writing.
    tensors : mapping of str to ndarray
        Arrays of float64, float32 or float16.
    metadata : mapping of str to str
        Strings.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> write_tensors(file, {"W": np.ones((2, 3), np.float32)}, {"made by": "me"})
    >>> read_header(file).entries["W"].shape
    (2, 3)
    """
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    stop = 0
    for name in stored_order(tensors):
        array = tensors[name]
        start, stop = stop, stop + array.nbytes
        header[name] = {
            "dtype": _dtype_name(array.dtype),
            "shape": list(array.shape),
            "data_offsets": [start, stop],
        }
    text = json.dumps(header, ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % _LENGTH.size)  # so that the arrays are aligned
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(
            f"the names and strings must fit {MAX_HEADER_BYTES} bytes, got {len(text)}."
        )
    file.write(_LENGTH.pack(len(text)))
    file.write(text)
    for name in stored_order(tensors):
        file.write(stored_bytes(tensors[name]))


def stored_order(tensors: Mapping[str, np.ndarray]) -> list[str]:
    """Return the names of arrays in the order in which they are stored.

    Parameters
    ----------
    tensors : mapping of str to ndarray

    Returns
    -------
    list of str
        Arrays with larger items come first, so that all are aligned.

    Examples
    --------
    >>> stored_order({"half": np.ones(1, np.float16), "double": np.ones(1)})
    ['double', 'half']
    """
    return sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))


def stored_bytes(array: np.ndarray) -> bytes:
    """Return the bytes of an array in a file.

    Parameters
    ----------
    array : ndarray
        Of float64, float32 or float16.

    Returns
    -------
    bytes

    Examples
    --------
    >>> stored_bytes(np.ones(1, np.float16)).hex()
    '003c'
    """
    return array.astype(DTYPES[_dtype_name(array.dtype)], copy=False).tobytes()


def read_header(file: BinaryIO) -> Header:
    """Read and check a file, except for its arrays.

    Parameters
    ----------
    file : binary file
        Open for reading, with ``seek``.

    Returns
    -------
    Header

    Raises
    ------
    ValueError
        If it is not a safetensors file, or incomplete.

    Examples
    --------
    >>> import io
    >>> read_header(io.BytesIO(b"RIFF, as sound files begin"))
    Traceback (most recent call last):
        ...
    ValueError: it is no safetensors file, or the end is missing.
    """
    n_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    if n_bytes == 0:
        raise ValueError("it is empty.")
    start = file.read(_LENGTH.size + 1)
    # The shortest header is {}.
    if len(start) <= _LENGTH.size or start[-1:] != b"{":
        raise ValueError("it is no safetensors file, or the end is missing.")
    [length] = _LENGTH.unpack_from(start)
    offset = _LENGTH.size + length
    if offset > n_bytes:
        raise ValueError(
            f"its header should end at byte {offset}, but the file at {n_bytes}: it is "
            "no safetensors file, or the end is missing."
        )
    if length > MAX_HEADER_BYTES:
        raise ValueError(
            f"its header has {length} bytes, more than the {MAX_HEADER_BYTES} that are "
            "read."
        )
    file.seek(_LENGTH.size)
    header = parse_json(file.read(length))
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise ValueError(f"its {_METADATA} must map names to strings.")
    entries = [(name, _entry(name, entry)) for name, entry in header.items()]
    entries.sort(key=lambda item: (item[1].start, item[1].stop))
    end = 0
    for name, entry in entries:
        if entry.start != end:
            raise ValueError(
                f"tensor {shortened(name)} begins at byte {entry.start}, but the one "
                f"before ends at {end}."
            )
        end = entry.stop
    if offset + end != n_bytes:
        what = "the end is missing" if offset + end > n_bytes else "there is more"
        raise ValueError(
            f"its tensors should end at byte {offset + end}, but the file ends at "
            f"{n_bytes}: {what}."
        )
    return Header(metadata, dict(entries), offset)


def read_tensors(file: BinaryIO, header: Header) -> Iterator[tuple[str, np.ndarray]]:
    """Read the arrays of a file, one after another.

    Parameters
    ----------
    file : binary file
        The file from which the header was read.
    header : Header
        From :func:`read_header`.

    Yields
    ------
    name : str
    tensor : ndarray
        Read-only, in the byte order of the file.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> write_tensors(file, {"b": np.zeros(2), "a": np.ones(1)}, {})
    >>> header = read_header(file)
    >>> {name: tensor.tolist() for name, tensor in read_tensors(file, header)}
    {'a': [1.0], 'b': [0.0, 0.0]}
    """
    file.seek(header.offset)
    for name, entry in header.entries.items():
        data = file.read(entry.stop - entry.start)
        if len(data) != entry.stop - entry.start:
            raise ValueError(
                f"tensor {shortened(name)} became shorter while it was read."
            )
        yield name, np.frombuffer(data, entry.dtype).reshape(entry.shape)


def parse_json(text: bytes | str) -> dict[str, Any]:
    """Parse a JSON object of unknown origin.

    Parameters
    ----------
    text : bytes or str
        In UTF-8.

    Returns
    -------
    dict
        Its numbers are finite.

    Raises
    ------
    ValueError
        If it is no object, has a key twice, has a number that is not finite or has more
        than 64 bits, or is nested too deeply.

    Examples
    --------
    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    ValueError: its JSON has the key 'a' twice.
    """
    try:
        parsed = json.loads(
            text.decode() if isinstance(text, bytes) else text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_number,
            parse_int=_integer,
            parse_float=_finite,
        )
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"its JSON cannot be read ({error}).") from error
    if not isinstance(parsed, dict):
        raise ValueError("its JSON must be an object.")
    level: list[Any] = [parsed]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
    if level:
        raise ValueError("its JSON is nested too deeply.")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for key, value in pairs:
        if key in parsed:
            raise ValueError(f"its JSON has the key {shortened(key)} twice.")
        parsed[key] = value
    return parsed


def _refuse_number(text: str) -> float:
    raise ValueError(f"its JSON has the number {shortened(text)}.")


def _integer(text: str) -> int:
    return int(text) if len(text) <= _MAX_DIGITS else int(_refuse_number(text))


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_number(text)


def _entry(name: str, entry: Any) -> Entry:
    """Check the entry of an array in the header."""
    if not isinstance(entry, dict) or entry.keys() != _KEYS:
        raise ValueError(
            f"tensor {shortened(name)} must have a dtype, a shape and data_offsets."
        )
    dtype = entry["dtype"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(
            f"tensor {shortened(name)} must be of dtype {', '.join(DTYPES)}, "
            f"got {shortened(dtype)}."
        )
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not (_are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2):
        raise ValueError(
            f"tensor {shortened(name)} must have up to {_MAX_DIMENSIONS} sizes and two "
            f"offsets, all at least 0, got {shortened(shape)} and {shortened(offsets)}."
        )
    start, stop = offsets
    wanted = math.prod(shape) * DTYPES[dtype].itemsize
    if stop - start != wanted:
        raise ValueError(
            f"tensor {shortened(name)} of shape {shortened(shape)} takes {wanted} "
            f"bytes, but has {stop - start}."
        )
    return Entry(DTYPES[dtype], tuple(shape), start, stop)


def _are_sizes(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MAX_DIMENSIONS
        and all(type(size) is int and size >= 0 for size in value)
    )


def _dtype_name(dtype: np.dtype) -> str:
    for name, stored in DTYPES.items():
        if dtype.kind == stored.kind and dtype.itemsize == stored.itemsize:
            return name
    raise ValueError(
        f"arrays must be of float64, float32 or float16, got one of {dtype}."
    )
