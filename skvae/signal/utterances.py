"""Collections of utterances: the kind of X, and the clean speech in y.

A collection is a list of waveforms of any lengths, a 2-D array with one utterance per
row, or a list of spectrograms. The kind of the input determines the kind of the output;
the lengths do not.
"""

from __future__ import annotations

import numbers
import os
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import validate_data

from skvae.utils.inputs import (
    check_lengths_agree,
    check_list,
    check_no_channels,
    check_utterance,
    to_floats,
)
from skvae.utils.words import shortened


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


class ListTransformer(TransformerMixin):
    """Transformer whose output is a list of utterances, not a table."""

    def set_output(self, *, transform: str | None = None) -> Self:
        """Accept the default output, and refuse tables.

        Parameters
        ----------
        transform : {"default"} or None, default=None
            Utterances of unequal lengths form no table, so "pandas" and "polars" are
            errors.

        Returns
        -------
        estimator
            The same object.
        """
        if transform not in (None, "default"):
            raise ValueError(
                "`transform` must be 'default' or None: "
                f"{type(self).__name__}.transform returns utterances, which form no "
                f"table, got {transform!r}."
            )
        return self


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
    check_list(X, "X")
    if is_spectrogram(X):
        raise ValueError(
            "X must be a list of utterances, got one spectrogram: pass a list."
        )
    if isinstance(X, Sequence) and not isinstance(X, list | tuple | range):
        X = X if hasattr(X, "dtype") else list(X)  # a deque
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
    if isinstance(X, list | tuple) and all(isinstance(x, list | tuple) for x in X):
        check_lengths_agree(X, "X")
    if np.ma.is_masked(X):
        check_utterance(X, "X")
    array: Any = _validated(estimator, X, reset)
    check_no_channels(array, "X")
    return Utterances(array, Kind.ARRAY)


def _validated(estimator: Any, X: Any, reset: bool) -> np.ndarray:
    """X as a 2-D array of numbers, checked by scikit-learn."""
    try:
        # Its sum of opposite infinities, which it refuses, gives a warning.
        with np.errstate(invalid="ignore"):
            array = validate_data(estimator, X, reset=reset, dtype=None)
        if array.dtype.kind not in "fiub":
            array = validate_data(estimator, X, reset=reset, dtype="numeric")
    except OverflowError as error:
        raise ValueError(
            "X must hold numbers that fit into a float, got a larger integer."
        ) from error
    except TypeError as error:
        if "boolean value of NA" not in str(error):
            raise
        raise ValueError("X must hold numbers, got a missing value.") from error
    if array.dtype.kind not in "fiub":
        to_floats(array, np.dtype(float), "X")
    return array


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
    check_list(y, "y")
    items: Any = y if hasattr(y, "__len__") else np.asarray(y)
    if getattr(items, "ndim", 1) == 0:
        raise ValueError(
            f"y must be a list of {n_utterances} waveforms, got {shortened(y)}."
        )
    if np.ma.is_masked(items):
        check_utterance(items, "y")
    if hasattr(items, "iloc"):  # a pandas Series or DataFrame
        items = items.to_numpy()
    if len(items) > 0 and isinstance(items[0], str | bytes | os.PathLike):
        raise ValueError(
            f"y must contain waveforms, got {items[0]!r}: wrap file names in "
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
