"""Model files: fitted estimators with a card that describes them.

A model file is a safetensors file with two strings in its metadata. `skvae` is JSON:
the version of the format, that of the package, the card, and the estimator as
:mod:`skvae.storage.estimators` describes it. `sha256` is a checksum of this text and of
the arrays, which detects damage. Reading a file runs no code from it, and takes memory
in proportion to its size.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skvae._version import __version__
from skvae.storage.classes import Classes, other_classes
from skvae.storage.estimators import describe, rebuild
from skvae.storage.names import SUFFIX
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

#: Version of the format. Files of other versions cannot be read.
FORMAT = 1

#: Data types of the weights of networks in a file.
DTYPES = ("float32", "float16")

_DESCRIPTION, _CHECKSUM = "skvae", "sha256"

#: Maximum number of characters of an error, which may quote from the file.
_MAX_REASON = 500

_ADVICE = (
    "Get the file again, or save the model again with save_pretrained; if a later "
    "version of skvae wrote it, install that version."
)


class ModelCard(NamedTuple):
    """Description of a model for its users.

    Attributes
    ----------
    name : str
        Short name.
    description : str
        Description in one line.
    training_data : str
        Training data.
    license : str
        License of the weights.
    attributions : tuple of str
        Credits that the licenses of the training data require.
    figures : dict of str to float or str
        Measured values, by title with unit.
    date : str
        Date of the weights, such as "2026-11-20". Empty if the file has none.
    """

    name: str
    description: str = ""
    training_data: str = ""
    license: str = ""
    attributions: tuple[str, ...] = ()
    figures: Mapping[str, float | str] = {}
    date: str = ""


class ModelFile(NamedTuple):
    """Facts about a model file.

    Attributes
    ----------
    card : ModelCard
        Description of the model.
    estimator : str
        Class of the estimator.
    sample_rate : int or None
        Sample rate of the estimator in Hz, if it has an STFT.
    version : str
        Version of the package that wrote the file.
    n_bytes : int
        Size of the file.
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
    """Write a model file, completely or not at all.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator.
    path : str or path-like
        Path that ends in ".safetensors"; an existing file is replaced.
    card : ModelCard
        Description of the model.
    dtype : {"float32", "float16"}, default="float32"
        Data type of the weights of networks in the file.

    Raises
    ------
    ValueError
        If a file cannot hold the estimator or the card. Then nothing is written.

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
    # Make sure that the file can be read.
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
        The estimator, without the parameters that files do not hold.

    Raises
    ------
    ValueError
        If it is no model file, damaged, of another format, or inconsistent.
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
                raise ValueError(f"its array {name!r} contains NaN or inf.")
            arrays[name] = array
        if header.metadata.get(_CHECKSUM) != checksum.hexdigest():
            raise ValueError("its checksum is wrong: the file is damaged.")
        estimator = rebuild(description["estimator"], arrays, classes=known)
        if description["sample_rate"] != _sample_rate(estimator):
            raise ValueError(
                f"its sample rate is {str(description['sample_rate'])[:20]} Hz, but "
                f"that of its estimator is {_sample_rate(estimator)}."
            )
    return estimator


def read_summary(path: str | os.PathLike[str]) -> ModelFile:
    """Read the facts about a file, and neither its arrays nor its estimator.

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
        If it is no model file, damaged or of another format.
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
            raise ValueError("it does not name a class.")
    size = path.stat().st_size
    return ModelFile(
        description["card"], node["class"], sample_rate, description["version"], size
    )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Add to errors which file it is and what to do."""
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
    """Read the description as text and parsed; only its structure is checked."""
    text = header.metadata.get(_DESCRIPTION)
    if text is None:
        raise ValueError("it is a safetensors file, but not one of skvae.")
    description = parse_json(text)
    version, format_ = description.get("version"), description.get("format")
    if not isinstance(version, str):
        raise ValueError("it does not say which version of skvae wrote it.")
    if format_ != FORMAT:
        raise ValueError(
            f"skvae {version[:20]} wrote it, in the format {str(format_)[:20]}; this "
            f"is skvae {__version__}, which reads the format {FORMAT}."
        )
    _check_keys(
        "description",
        description,
        ["format", "version", "card", "sample_rate", "estimator"],
    )
    if isinstance(description["card"], dict):
        description["card"].setdefault("date", "")  # files without one
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
    """Return a valid card, or raise a ValueError."""
    for name in ("name", "description", "training_data", "license"):
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
    _check_text("date", card.date)
    if card.date:
        try:
            date.fromisoformat(card.date)
        except ValueError as error:
            raise ValueError(
                f"`date` must be a date such as '2026-11-20', got {card.date[:40]!r}."
            ) from error
    if not isinstance(card.figures, Mapping):
        raise ValueError(
            "`figures` must map titles to numbers or strings, "
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
    text.encode()  # raises a ValueError if it is no valid Unicode


def _sample_rate(estimator: Any) -> int | None:
    stft = getattr(estimator, "stft_", estimator)
    rate = getattr(stft, "sample_rate", None)
    return None if rate is None else int(rate)
