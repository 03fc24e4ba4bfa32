"""Files of fitted estimators: what they hold, how they are written and read.

A model file is a safetensors file with two strings in its metadata: `skvae`, in JSON
the format's version, the package's, the card and the estimator as
:mod:`skvae.storage.estimators` describes it; and `sha256`, a checksum of that and of
the arrays, which tells damage from intent. Reading it runs no code from it, and takes
memory in proportion to its size.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skvae._version import __version__
from skvae.storage.classes import Classes, other_classes
from skvae.storage.estimators import describe, rebuild
from skvae.storage.tensor_files import (
    Header,
    parse_json,
    read_header,
    read_tensors,
    stored_bytes,
    stored_order,
    write_tensors,
)
from skvae.utils.files import written_whole
from skvae.utils.parameters import check_option, check_real

#: Version of what a file holds. A file of a later one is refused.
FORMAT = 1

#: Ending of the names of model files.
SUFFIX = ".safetensors"

#: Data types of the weights of networks in a file.
DTYPES = ("float32", "float16")

_DESCRIPTION, _CHECKSUM = "skvae", "sha256"

#: Characters of an error about what a file holds: it may quote that.
_MAX_REASON = 500

_ADVICE = (
    "Get the file again, or make it anew with save_pretrained; if a later version of "
    "skvae made it, install that."
)


class ModelCard(NamedTuple):
    """What people should know of a model before they use it.

    Attributes
    ----------
    name : str
        Short.
    description : str
        One line.
    training_data : str
        What it was trained on.
    licence : str
        Of the weights.
    attributions : tuple of str
        Whom the licences of the training data ask to be named, and how.
    figures : dict of str to float or str
        What was measured, by what it is, with its unit.
    """

    name: str
    description: str = ""
    training_data: str = ""
    licence: str = ""
    attributions: tuple[str, ...] = ()
    figures: Mapping[str, float | str] = {}


class ModelFile(NamedTuple):
    """What a file says of itself.

    Attributes
    ----------
    card : ModelCard
        For people.
    estimator : str
        Its class.
    sample_rate : int or None
        Samples per second that it works at, where it has an STFT.
    version : str
        Version of the package that wrote it.
    n_bytes : int
        Its size.
    """

    card: ModelCard
    estimator: str
    sample_rate: int | None
    version: str
    n_bytes: int


def write_model(
    estimator: Any,
    path: str | os.PathLike[str],
    card: ModelCard,
    *,
    dtype: str = "float32",
) -> None:
    """Write a file, whole or not at all.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    path : str or path-like
        Its name ends in ".safetensors"; a file of that name is replaced.
    card : ModelCard
        What people should know.
    dtype : {"float32", "float16"}, default="float32"
        Data type of the weights of networks in the file.

    Raises
    ------
    ValueError
        If the estimator or the card cannot be kept. Then nothing is written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skvae import LogMMSE
    >>> path = pathlib.Path(tempfile.mkdtemp(), "quiet.safetensors")
    >>> write_model(LogMMSE().fit([np.zeros(1)]), path, ModelCard("quiet"))
    >>> read_model(path)
    LogMMSE()
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"`path` must end in {SUFFIX!r}, got {str(path)!r}.")
    check_option("dtype", dtype, DTYPES)
    node, arrays = describe(estimator, dtype=dtype)
    description = {
        "format": FORMAT,
        "version": __version__,
        "card": _check_card(card)._asdict(),
        "sample_rate": _sample_rate(estimator),
        "estimator": node,
    }
    text = json.dumps(description, ensure_ascii=False, allow_nan=False)
    # What is written can be read.
    node, classes = parse_json(text)["estimator"], other_classes(estimator)
    rebuild(node, arrays, classes=classes)
    checksum = hashlib.sha256(text.encode())
    for name in stored_order(arrays):
        checksum.update(stored_bytes(arrays[name]))
    metadata = {_DESCRIPTION: text, _CHECKSUM: checksum.hexdigest()}
    with written_whole(path) as file:
        write_tensors(file, arrays, metadata)


def read_model(
    path: str | os.PathLike[str], *, classes: Classes | Iterable[type | str] = ()
) -> Any:
    """Read the estimator of a file.

    Parameters
    ----------
    path : str or path-like
        The file.
    classes : Classes, or iterable of type or str, default=()
        Classes outside skvae that may be in it, as for :func:`skvae.load_pretrained`.

    Returns
    -------
    estimator
        As it was, without the parameters that are not kept.

    Raises
    ------
    ValueError
        If it is no model file, damaged, of a later format, or at odds with itself.
    OSError
        If it cannot be opened or read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "empty.safetensors")
    >>> path.touch()
    >>> read_model(path)
    Traceback (most recent call last):
        ...
    ValueError: .../empty.safetensors cannot be loaded: it is empty. ...
    """
    known = classes if isinstance(classes, Classes) else Classes(classes)
    path = Path(path)
    with _reading(path), open(path, "rb") as file:
        header = read_header(file)
        text, description = _read_description(header)
        checksum = hashlib.sha256(text.encode())
        arrays = {}
        for name, stored in read_tensors(file, header):
            checksum.update(stored.data)
            array = stored.astype(stored.dtype.newbyteorder("="))
            if not np.isfinite(array).all():
                raise ValueError(f"its array {name!r} holds NaN or inf.")
            arrays[name] = array
        if header.metadata.get(_CHECKSUM) != checksum.hexdigest():
            raise ValueError("its checksum is wrong: the file is damaged.")
        estimator = rebuild(description["estimator"], arrays, classes=known)
        if description["sample_rate"] != _sample_rate(estimator):
            raise ValueError(
                f"it says that it works at {str(description['sample_rate'])[:20]} Hz, "
                f"but its estimator does at {_sample_rate(estimator)}."
            )
    return estimator


def read_summary(path: str | os.PathLike[str]) -> ModelFile:
    """Read what a file says of itself, and neither its arrays nor its estimator.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    ModelFile

    Raises
    ------
    ValueError
        If it is no model file, damaged or of a later format.
    OSError
        If it cannot be opened or read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skvae import LogMMSE
    >>> path = pathlib.Path(tempfile.mkdtemp(), "quiet.safetensors")
    >>> write_model(LogMMSE().fit([np.zeros(1)]), path, ModelCard("quiet"))
    >>> summary = read_summary(path)
    >>> summary.card.name, summary.estimator, summary.sample_rate
    ('quiet', 'LogMMSE', 16000)
    """
    path = Path(path)
    with _reading(path), open(path, "rb") as file:
        _, description = _read_description(read_header(file))
        sample_rate = description["sample_rate"]
        check_real("sample_rate", sample_rate, low=1, integer=True, optional=True)
        node = description["estimator"]
        if not isinstance(node, dict) or not isinstance(node.get("class"), str):
            raise ValueError("it names no class.")
    size = path.stat().st_size
    return ModelFile(
        description["card"], node["class"], sample_rate, description["version"], size
    )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Refuse what is no file, and let errors say which file it is, and what to do."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise ValueError(f"{path} is {what}: name a file that save_pretrained wrote.")
    try:
        yield
    except ValueError as error:
        reason = str(error)
        if len(reason) > _MAX_REASON:
            reason = f"{reason[:_MAX_REASON]}..."
        raise ValueError(f"{path} cannot be loaded: {reason} {_ADVICE}") from error


def _read_description(header: Header) -> tuple[str, dict[str, Any]]:
    """Text and content of the description, its form checked but not what it says."""
    text = header.metadata.get(_DESCRIPTION)
    if text is None:
        raise ValueError("it is a safetensors file, but not one of skvae.")
    description = parse_json(text)
    version, format_ = description.get("version"), description.get("format")
    if not isinstance(version, str):
        raise ValueError("it does not say which version of skvae made it.")
    if format_ != FORMAT:
        raise ValueError(
            f"skvae {version[:20]} made it, in the format {str(format_)[:20]}; this is "
            f"skvae {__version__}, which reads the format {FORMAT}."
        )
    _check_keys(
        "description",
        description,
        ["format", "version", "card", "sample_rate", "estimator"],
    )
    _check_keys("card", description["card"], ModelCard._fields)
    description["card"] = _check_card(ModelCard(**description["card"]))
    return text, description


def _check_keys(name: str, node: Any, wanted: Sequence[str]) -> None:
    if not isinstance(node, dict):
        raise ValueError(f"its {name} must be an object.")
    for key in sorted(node.keys() ^ set(wanted)):
        has = "has" if key in node else "lacks"
        raise ValueError(f"its {name} {has} {key[:40]!r}.")


def _check_card(card: ModelCard) -> ModelCard:
    """Raise a ValueError unless a card is of words and numbers."""
    for name in ("name", "description", "training_data", "licence"):
        _check_text(name, getattr(card, name))
    if not isinstance(card.attributions, Sequence) or isinstance(
        card.attributions, str
    ):
        raise ValueError(
            "`attributions` must be a list of strings, "
            f"got a {type(card.attributions).__name__}."
        )
    for k, text in enumerate(card.attributions):
        _check_text(f"attributions[{k}]", text)
    if not isinstance(card.figures, Mapping):
        raise ValueError(
            "`figures` must map what was measured to numbers, "
            f"got a {type(card.figures).__name__}."
        )
    figures: dict[str, float | str] = {}
    for title, figure in card.figures.items():
        _check_text("figures", title)
        if isinstance(figure, str):
            _check_text("figures", figure)
            figures[title] = figure
        else:
            check_real("figures", figure)
            figures[title] = float(figure)
    return card._replace(attributions=tuple(card.attributions), figures=figures)


def _check_text(name: str, text: Any) -> None:
    if not isinstance(text, str):
        raise ValueError(f"`{name}` must be a string, got a {type(text).__name__}.")
    text.encode()  # a ValueError if it is no Unicode


def _sample_rate(estimator: Any) -> int | None:
    stft = getattr(estimator, "stft_", estimator)
    rate = getattr(stft, "sample_rate", None)
    return None if rate is None else int(rate)
