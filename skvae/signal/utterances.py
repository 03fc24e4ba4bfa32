"""Collections of utterances: which kind was passed, and the clean speech beside it.

A collection is a list of waveforms of any lengths, a 2-D array (a row an utterance),
or a list of spectrograms. The kind decides what comes out, never the lengths.
"""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import validate_data

#: A 2-D array with at least this many rows and at most this many columns is more
#: likely one recording of several channels than a thousand very short utterances.
_MANY_ROWS, _FEW_COLUMNS = 1000, 8


class Kind(Enum):
    """What a collection of utterances is."""

    WAVEFORMS = "a list of waveforms"
    ARRAY = "a 2-D array"
    SPECTROGRAMS = "a list of spectrograms"
    SPECTROGRAM_ARRAY = "spectrograms of the rows of a 2-D array"

    @property
    def spectral(self) -> bool:
        """Whether the utterances are spectrograms."""
        return self in (Kind.SPECTROGRAMS, Kind.SPECTROGRAM_ARRAY)


class Utterances(NamedTuple):
    """A collection that was looked at: its items, unopened, and its kind."""

    items: Sequence[Any]
    kind: Kind


def is_spectrogram(item: Any) -> bool:
    """Whether something behaves like a :class:`~skvae.Spectrogram`.

    Examples
    --------
    >>> is_spectrogram([0.0, 1.0])
    False
    """
    return hasattr(item, "to_waveform")


def read_collection(estimator: Any, X: Any, *, reset: bool = False) -> Utterances:
    """Find out which kind of collection `X` is.

    Arrays are validated here as scikit-learn does it, `n_features_in_` included;
    the items of a list when they are opened.

    Parameters
    ----------
    estimator : BaseEstimator
        Whose input it is.
    X : list of waveforms, 2-D array or list of Spectrogram
        The collection.
    reset : bool
        Whether this is the input of `fit`.

    Returns
    -------
    Utterances

    Raises
    ------
    ValueError
        If it is empty, mixed, text, or no collection at all.
    """
    if reset:  # the widths of an earlier fit hold no longer
        for name in ("n_features_in_", "feature_names_in_"):
            vars(estimator).pop(name, None)
    if isinstance(X, str | bytes) or is_spectrogram(X):
        what = f"the text {X!r}" if isinstance(X, str | bytes) else "one spectrogram"
        raise ValueError(f"X must be a list of utterances, got {what}: pass a list.")
    if getattr(X, "holds_spectrograms", False):
        return Utterances(X, Kind.SPECTROGRAM_ARRAY)
    if _is_list(X):
        items = X.tolist() if hasattr(X, "tolist") else X
        items = items if isinstance(items, list) else list(items)
        return Utterances(items, _kind_of_items(items))
    if getattr(X, "ndim", None) == 1:
        raise ValueError(
            "X must be a list of waveforms or a 2-D array, got a 1-D array. Reshape "
            "your data, or pass a list with one waveform, [x]."
        )
    array = validate_data(estimator, X, reset=reset, dtype=None)
    if array.dtype.kind not in "fiub":
        array = validate_data(estimator, X, reset=reset, dtype="numeric")
    _warn_if_channels(array)
    return Utterances(array, Kind.ARRAY)


def _is_list(X: Any) -> bool:
    """Whether X lists utterances: not an array, nor the nested lists of one."""
    if getattr(X, "ndim", None) == 1:  # an object array, a pandas Series of arrays
        return getattr(X, "dtype", None) == np.dtype(object)
    if not isinstance(X, list | tuple):
        return False
    if len(X) == 0:
        return True
    is_nested_numbers = all(
        isinstance(item, list | tuple)
        and all(isinstance(value, numbers.Number) for value in item[:1])
        for item in X
    )
    is_flat_numbers = all(isinstance(item, numbers.Number) for item in X)
    return not (is_nested_numbers or is_flat_numbers)


def _kind_of_items(items: list) -> Kind:
    if not items:
        raise ValueError("X must hold at least one utterance, got an empty list.")
    spectral = [is_spectrogram(item) for item in items]
    if all(spectral):
        return Kind.SPECTROGRAMS
    if any(spectral):
        raise ValueError(
            "X must hold either waveforms or spectrograms, got "
            f"{sum(spectral)} spectrograms among {len(items)} utterances."
        )
    return Kind.WAVEFORMS


def _warn_if_channels(array: np.ndarray) -> None:
    n_rows, n_columns = array.shape
    if n_rows >= _MANY_ROWS and n_columns <= _FEW_COLUMNS:
        warnings.warn(
            f"X has shape {array.shape}, read as {n_rows} utterances of {n_columns} "
            f"samples. If it is one recording of {n_columns} channels, as soundfile "
            "reads it, pass [X.mean(axis=1)] or list(X.T).",
            UserWarning,
            stacklevel=5,  # fit and transform are wrapped by scikit-learn
        )


def read_clean(y: Any, n_utterances: int) -> Sequence[Any] | None:
    """Items of the clean speech `y`, or None where there is none.

    Parameters
    ----------
    y : list of waveforms, 2-D array, list of Spectrogram, or None
        One number for each utterance (class labels, as scikit-learn's own checks
        pass them) counts as no clean speech.
    n_utterances : int
        Number of utterances in X.

    Returns
    -------
    sequence or None

    Raises
    ------
    ValueError
        If there are more or fewer than `n_utterances`.

    Examples
    --------
    >>> read_clean([0, 1, 1], 3) is None
    True
    """
    if y is None:
        return None
    items: Any = y if hasattr(y, "__len__") else np.asarray(y)
    if hasattr(items, "iloc"):  # a pandas Series or DataFrame
        items = items.to_numpy()
    if len(items) > 0 and isinstance(items[0], str | bytes):
        raise ValueError(
            f"y must hold waveforms, got the text {items[0]!r}: wrap file names in "
            "skvae.datasets.AudioFile."
        )
    if len(items) > 0 and _is_scalar(items[0]):
        if len(items) == n_utterances:
            return None
        raise ValueError(
            f"y must be a list of {n_utterances} waveforms, got {len(items)} numbers: "
            "for one waveform pass [y]."
        )
    if len(items) != n_utterances:
        raise ValueError(
            f"y must hold the clean speech of each of the {n_utterances} utterances "
            f"of X, got {len(items)}."
        )
    return items


def require_clean(y: Any, n_utterances: int) -> Sequence[Any]:
    """Items of the clean speech `y`, which must be there.

    Parameters
    ----------
    y : list of waveforms, 2-D array or list of Spectrogram
        As for :func:`read_clean`.
    n_utterances : int
        Number of utterances in X.

    Returns
    -------
    sequence

    Raises
    ------
    ValueError
        If there is none, or for more or fewer than `n_utterances`.

    Examples
    --------
    >>> require_clean(None, 3)
    Traceback (most recent call last):
    ...
    ValueError: y must hold the clean speech to score against, as a list of waveforms
    or a 2-D array, got NoneType.
    """
    items = read_clean(y, n_utterances)
    if items is None:
        raise ValueError(
            "y must hold the clean speech to score against, as a list of waveforms "
            f"or a 2-D array, got {type(y).__name__}."
        )
    return items


def _is_scalar(item: Any) -> bool:
    return isinstance(item, numbers.Number | np.generic)
