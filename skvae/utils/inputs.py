"""Sentences about what users pass by mistake in place of utterances."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Set
from numbers import Number
from typing import Any

import numpy as np

#: Numbers of columns, and numbers of rows above which such an array is one recording of
#: several channels, as soundfile returns it: no utterance is so short. The checks of
#: scikit-learn fit arrays of 100 rows and 2 columns, 6 ms of sound.
_CHANNELS = ((2, 100), (8, 999))


def check_list(value: Any, name: str) -> None:
    """Raise a ValueError for an object that is not a list of utterances.

    Parameters
    ----------
    value : object
        Collection of utterances that a user passes. Its items are not checked.
    name : str
        Name of the parameter in the message.

    Examples
    --------
    >>> check_list({"a": [0.5, 0.25]}, "X")
    Traceback (most recent call last):
        ...
    ValueError: X must be a list of utterances, got a dict: pass list(X.values()).
    """
    variable = name.strip("`")
    if hasattr(value, "dtype"):  # arrays of any library
        return
    if isinstance(value, str | bytes):
        got, hint = f"the text {value!r}", "pass a list of skvae.datasets.AudioFile"
    elif isinstance(value, os.PathLike):
        got, hint = f"the path {value!r}", "pass a list of skvae.datasets.AudioFile"
    elif isinstance(value, Mapping):
        got, hint = f"a {type(value).__name__}", f"pass list({variable}.values())"
    elif isinstance(value, Set):
        got, hint = f"a {type(value).__name__}, which has no order", "pass a list"
    elif isinstance(value, Iterable) and not hasattr(value, "__getitem__"):
        got, hint = f"a {type(value).__name__}", f"pass list({variable})"
    else:
        return
    raise ValueError(f"{name} must be a list of utterances, got {got}: {hint}.")


def check_lengths_agree(value: Any, name: str) -> None:
    """Raise a ValueError for nested lists of numbers that form no array.

    Parameters
    ----------
    value : list
        Nested lists of numbers, which stand for a 2-D array.
    name : str
        Name of the parameter in the message.

    Examples
    --------
    >>> check_lengths_agree([[0.5, 0.25], [0.5]], "X")
    Traceback (most recent call last):
        ...
    ValueError: X must be a 2-D array or a list of waveforms, got nested lists of
    unequal lengths: pass arrays, [np.array(x) for x in X].
    """
    if len({len(row) for row in value}) > 1:
        raise ValueError(
            f"{name} must be a 2-D array or a list of waveforms, got nested lists of "
            f"unequal lengths: pass arrays, [np.array(x) for x in {name.strip('`')}]."
        )


def check_no_channels(array: np.ndarray, name: str) -> None:
    """Raise a ValueError for a recording (n_samples, n_channels) as a 2-D array.

    Parameters
    ----------
    array : ndarray
        Array whose rows are utterances.
    name : str
        Name of the parameter in the message.

    Examples
    --------
    >>> check_no_channels(np.zeros((48000, 2)), "X")
    Traceback (most recent call last):
        ...
    ValueError: X must have an utterance in each row, got shape (48000, 2)
    (n_features=2), which looks like one recording of 2 channels: pass ...
    """
    if array.ndim != 2:
        return
    n_rows, n_columns = array.shape
    if any(n_columns <= few and n_rows > many for few, many in _CHANNELS):
        channels = "1 channel" if n_columns == 1 else f"{n_columns} channels"
        x = name.strip("`")
        raise ValueError(
            f"{name} must have an utterance in each row, got shape {array.shape} "
            f"(n_features={n_columns}), which looks like one recording of {channels}: "
            f"pass [{x}.mean(axis=1)], their mean; list({x}.T), a list of them; or "
            f"list({x}) if each row is an utterance. skvae.reduce_noise enhances such "
            "a recording as it is."
        )


def check_utterance(item: Any, name: str) -> None:
    """Raise a ValueError for an object that is not a waveform.

    Parameters
    ----------
    item : object
        Waveform that a user passes.
    name : str
        Name of the waveform in the message.

    Examples
    --------
    >>> check_utterance({0.5, 0.25}, "utterance 3")
    Traceback (most recent call last):
        ...
    ValueError: utterance 3 must be a 1-D array of samples, got a set.
    """
    if isinstance(item, str | bytes):
        got = f"the text {item!r}: wrap a file name in skvae.datasets.AudioFile"
    elif isinstance(item, os.PathLike):
        got = f"the path {item!r}: wrap it in skvae.datasets.AudioFile"
    elif isinstance(item, Mapping | Set | Iterator) or item is None:
        got = "None" if item is None else f"a {type(item).__name__}"
    elif np.ma.is_masked(item):
        got = "a masked array with masked samples: fill them first, x.filled(0)"
    else:
        return
    raise ValueError(f"{name} must be a 1-D array of samples, got {got}.")


def to_floats(samples: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """Convert samples to floats if they are numbers.

    Parameters
    ----------
    samples : ndarray
        Samples of any type.
    dtype : dtype
        Type of the result.
    name : str
        Name of the waveform in messages.

    Returns
    -------
    ndarray
        `samples` itself if nothing changes.

    Raises
    ------
    ValueError
        If a sample is no number, such as a date, a text or a missing value, or does not
        fit into a float.

    Examples
    --------
    >>> to_floats(np.array(["1", "2"]), np.dtype(float), "the waveform")
    Traceback (most recent call last):
        ...
    ValueError: the waveform must hold numbers, got text.
    """
    kinds = {"U": "text", "S": "text", "T": "text", "M": "dates", "m": "durations"}
    if samples.dtype.kind in kinds:
        raise ValueError(f"{name} must hold numbers, got {kinds[samples.dtype.kind]}.")
    if samples.dtype.kind == "O":
        for sample in samples.flat:
            if not isinstance(sample, Number) or isinstance(sample, np.timedelta64):
                what = "a missing value" if _is_missing(sample) else f"{sample!r:.80}"
                raise ValueError(f"{name} must hold numbers, got {what}.")
    try:
        return samples.astype(dtype, copy=False)
    except OverflowError as error:
        raise ValueError(
            f"{name} must hold numbers that fit into a float, got a larger integer."
        ) from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers: {error}.") from error


def _is_missing(sample: Any) -> bool:
    return sample is None or type(sample).__name__ in ("NAType", "NaTType")
