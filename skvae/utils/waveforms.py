"""Waveforms: validated input as floats, and output in the dtype of the input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from numbers import Number, Real
from typing import Any

import numpy as np

from skvae.utils.inputs import (
    check_list,
    check_no_channels,
    check_utterance,
    to_floats,
)
from skvae.utils.words import shortened

#: Largest sample that counts as sound. Full scale is 1, or 2^31 for unscaled integers.
MAX_PEAK = 1e12

#: Full scale of 16-bit integers, the only integers that are scaled.
INT16_SCALE = 32768.0


def float_dtype(dtype: np.dtype) -> np.dtype:
    """Return the dtype in which a waveform is processed.

    Parameters
    ----------
    dtype : numpy.dtype
        Dtype of the waveform.

    Returns
    -------
    numpy.dtype
        float32 for float32, float16 and int16; float64 for all others.

    Examples
    --------
    >>> import numpy as np
    >>> float_dtype(np.dtype("int16"))
    dtype('float32')
    """
    single = dtype.newbyteorder("=") in (np.float32, np.float16, np.int16)
    return np.dtype(np.float32 if single else np.float64)


def open_waveform(
    waveform: Any, name: str = "the waveform", max_peak: float = MAX_PEAK
) -> np.ndarray:
    """Read and validate one waveform.

    Parameters
    ----------
    waveform : array-like or object with ``__array__``, shape (n_samples,)
        Audio of one channel: an array, a list of numbers or an
        :class:`~skvae.datasets.AudioFile`. 16-bit integers are divided by 32768.
    name : str
        Name of the waveform in error messages.
    max_peak : float
        Largest magnitude that a sample may have.

    Returns
    -------
    ndarray of shape (n_samples,)
        Samples in float32 or float64. It is the input itself if nothing changes.

    Raises
    ------
    ValueError
        If the waveform is complex, not numeric, not one-dimensional, empty, louder than
        `max_peak`, or contains NaN or inf.

    Examples
    --------
    >>> import numpy as np
    >>> open_waveform(np.array([16384, -32768], dtype=np.int16))
    array([ 0.5, -1. ], dtype=float32)
    """
    check_utterance(waveform, name)
    try:
        samples = np.asarray(waveform)
    except ValueError as error:
        if not isinstance(waveform, Sequence):
            raise  # a file that cannot be read
        raise ValueError(
            f"{name} must be a 1-D array of samples, got nested lists of unequal "
            "lengths."
        ) from error
    if np.iscomplexobj(samples):
        raise ValueError(f"Complex data not supported: {name} is complex.")
    if samples.ndim == 0:
        raise ValueError(
            f"{name} must be a 1-D array of samples, got {shortened(waveform)}."
        )
    if samples.ndim != 1:
        raise ValueError(
            f"{name} must have shape (n_samples,), got {samples.shape}: "
            "pass one channel, or the mean of the channels."
        )
    if samples.size == 0:
        raise ValueError(f"{name} must have at least one sample, got 0 sample(s).")
    target = float_dtype(samples.dtype)
    if samples.dtype.newbyteorder("=") == np.int16:
        samples = samples.astype(target) / target.type(INT16_SCALE)
    else:
        samples = to_floats(samples, target, name)
    peak = max(samples.max(), -samples.min())
    if not peak <= min(max_peak, np.finfo(samples.dtype).max):
        if np.isfinite(samples).all():
            raise ValueError(
                f"{name} must have samples within +-{max_peak:g}, so that powers are "
                f"finite in single precision, got {peak:g}: scale it."
            )
        raise ValueError(f"{name} must be finite, but it contains NaN or inf.")
    return samples


def restore_dtype(samples: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert processed samples to the dtype of the input waveform.

    Parameters
    ----------
    samples : ndarray of float
        Processed samples.
    dtype : numpy.dtype
        Dtype of the input. Floating-point types are kept. Samples for int16 are scaled,
        rounded and clipped. Other integers have no defined scale and become float64.

    Returns
    -------
    ndarray
        Samples in that dtype.

    Examples
    --------
    >>> import numpy as np
    >>> restore_dtype(np.array([0.5, 2.0]), np.dtype("int16"))
    array([16384, 32767], dtype=int16)
    """
    if dtype == np.int16:
        scaled = np.rint(samples * samples.dtype.type(INT16_SCALE))
        return np.clip(scaled, -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)
    if dtype.kind == "f":
        largest = np.finfo(dtype).max
        if dtype.itemsize < samples.dtype.itemsize:
            samples = np.clip(samples, -largest, largest)
        return samples.astype(dtype, copy=False)
    return samples.astype(np.float64, copy=False)


def list_waveforms(waveforms: Any, name: str, others: str = "") -> Sequence[Any]:
    """Validate a collection of waveforms without opening them.

    Parameters
    ----------
    waveforms : list of waveforms, 2-D array or 1-D array of objects
        Collection of waveforms.
    name : str
        Name of the parameter in error messages.
    others : str, default=""
        Other values that the parameter accepts, as text for the error message.

    Returns
    -------
    sequence
        The collection itself, or a list of its items if it is not a sequence.

    Raises
    ------
    ValueError
        If `waveforms` is a single waveform, text, or not a collection.

    Examples
    --------
    >>> list_waveforms([0.5, 0.25], "noise")
    Traceback (most recent call last):
        ...
    ValueError: `noise` must be a list of waveforms or a 2-D array, got numbers: pass a
    single waveform as a list of one.
    """
    items = waveforms
    if isinstance(items, Mapping | Set):
        check_list(items, f"`{name}`")
    if isinstance(items, np.ndarray):
        check_no_channels(items, f"`{name}`")
        is_list = items.ndim == 2 or (items.ndim == 1 and items.dtype == object)
    else:
        is_list = isinstance(items, Iterable) and not isinstance(items, str | bytes)
        if is_list and not isinstance(items, Sequence):
            items = list(items)
    is_empty = is_list and len(items) == 0
    if not is_list or (not is_empty and isinstance(items[0], Number)):
        got = "numbers" if is_list else type(waveforms).__name__
        raise ValueError(
            f"`{name}` must be {others}a list of waveforms or a 2-D array, got {got}: "
            "pass a single waveform as a list of one."
        )
    return items


def check_sample_rate(sample_rate: Any) -> int:
    """Validate a sample rate.

    Parameters
    ----------
    sample_rate : int or float
        Sample rate in Hz. A float must be a whole number.

    Returns
    -------
    int
        Sample rate in Hz.

    Raises
    ------
    ValueError
        If the rate is not a positive whole number.

    Examples
    --------
    >>> check_sample_rate(16e3)
    16000
    """
    is_number = isinstance(sample_rate, Real) and not isinstance(sample_rate, bool)
    if not is_number or not sample_rate > 0 or sample_rate % 1 != 0:
        raise ValueError(
            f"`sample_rate` must be a positive whole number of Hz, got {sample_rate!r}."
        )
    return int(sample_rate)
