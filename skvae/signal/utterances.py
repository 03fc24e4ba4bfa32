"""Collections of utterances: the kind of X, and the clean speech in y.

A collection is a list of waveforms of any lengths, a 2-D array with one utterance per
row, or a list of spectrograms. The kind of the input determines the kind of the output;
the lengths do not.
"""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import validate_data

#: A 2-D array with at least so many rows and at most so many columns is probably one
#: recording of several channels, not a thousand very short utterances.
_MANY_ROWS, _FEW_COLUMNS = 1000, 8


class Kind(Enum):
    """Kinds of collections of utterances."""

    WAVEFORMS = "a list of waveforms"
    ARRAY = "a 2-D array"
    SPECTROGRAMS = "a list of spectrograms"
    SPECTROGRAM_ARRAY = "spectrograms of the rows of a 2-D array"

    @property
    def spectral(self) -> bool:
        """Whether the utterances are spectrograms."""
        return self in (Kind.SPECTROGRAMS, Kind.SPECTROGRAM_ARRAY)


class Utterances(NamedTuple):
    """Items of a collection, unopened, and its kind."""

    items: Sequence[Any]
    kind: Kind


def is_spectrogram(item: Any) -> bool:
    """Return whether an object behaves like a :class:`~skvae.Spectrogram`.

    Examples
    --------
    >>> is_spectrogram([0.0, 1.0])
    False
    """
    return hasattr(item, "to_waveform")


def read_collection(estimator: Any, X: Any, *, reset: bool = False) -> Utterances:
    """Find the kind of a collection.

    Arrays are validated here as in scikit-learn, which sets `n_features_in_`. The items
    of a list are validated when they are opened.

    Parameters
    ----------
    estimator : BaseEstimator
        Estimator whose input `X` is.
    X : list of waveforms, 2-D array or list of Spectrogram
        Collection.
    reset : bool
        Whether `X` is the input of `fit`.

    Returns
    -------
    Utterances

    Raises
    ------
    ValueError
        If `X` is not a collection, is empty, or contains items of several kinds.
    """
    if reset:  # forget the width of an earlier fit
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
    """Whether X is a list of utterances, not an array or nested lists of numbers."""
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
        raise ValueError("X must contain at least one utterance, got an empty list.")
    spectral = [is_spectrogram(item) for item in items]
    if all(spectral):
        return Kind.SPECTROGRAMS
    if any(spectral):
        raise ValueError(
            "X must contain either waveforms or spectrograms, got "
            f"{sum(spectral)} spectrograms among {len(items)} utterances."
        )
    return Kind.WAVEFORMS


def _warn_if_channels(array: np.ndarray) -> None:
    n_rows, n_columns = array.shape
    if n_rows >= _MANY_ROWS and n_columns <= _FEW_COLUMNS:
        warnings.warn(
            f"X has shape {array.shape}, read as {n_rows} utterances of {n_columns} "
            f"samples. If it is one recording of {n_columns} channels, as soundfile "
            "returns it, pass [X.mean(axis=1)] or list(X.T).",
            UserWarning,
            stacklevel=5,  # fit and transform are wrapped by scikit-learn
        )


def read_clean(y: Any, n_utterances: int) -> Sequence[Any] | None:
    """Return the items of the clean speech `y`, or None without clean speech.

    Parameters
    ----------
    y : list of waveforms, 2-D array, list of Spectrogram, or None
        Clean speech. One number per utterance, such as the class labels of
        scikit-learn's checks, counts as None.
    n_utterances : int
        Number of utterances in X.

    Returns
    -------
    sequence or None

    Raises
    ------
    ValueError
        If `y` has more or fewer items than `n_utterances`.

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
            f"y must contain waveforms, got the text {items[0]!r}: wrap file names in "
            "skvae.datasets.AudioFile."
        )
    if len(items) > 0 and _is_scalar(items[0]):
        if len(items) == n_utterances:
            return None
        raise ValueError(
            f"y must be a list of {n_utterances} waveforms, got {len(items)} numbers: "
            "pass one waveform as [y]."
        )
    if len(items) != n_utterances:
        raise ValueError(
            f"y must contain the clean speech of the {n_utterances} utterances of X, "
            f"got {len(items)} items."
        )
    return items


def require_clean(y: Any, n_utterances: int) -> Sequence[Any]:
    """Return the items of the clean speech `y`, which is required.

    Parameters
    ----------
    y : list of waveforms, 2-D array or list of Spectrogram
        Clean speech; see :func:`read_clean`.
    n_utterances : int
        Number of utterances in X.

    Returns
    -------
    sequence

    Raises
    ------
    ValueError
        If `y` is None, or has more or fewer items than `n_utterances`.

    Examples
    --------
    >>> require_clean(None, 3)
    Traceback (most recent call last):
    ...
    ValueError: y must be the clean speech, as a list of waveforms or a 2-D array, got
    NoneType.
    """
    items = read_clean(y, n_utterances)
    if items is None:
        raise ValueError(
            "y must be the clean speech, as a list of waveforms or a 2-D array, got "
            f"{type(y).__name__}."
        )
    return items


def _is_scalar(item: Any) -> bool:
    return isinstance(item, numbers.Number | np.generic)
