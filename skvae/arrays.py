"""Arrays in memory: one call for any sample rate, shape and type."""

from __future__ import annotations

import copy
import os
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
from joblib import effective_n_jobs

from skvae.base import BaseEnhancer
from skvae.datasets.audio import QUALITY, AudioFile
from skvae.recordings import scaled_stft
from skvae.signal.music import MusicDetector, MusicWarning
from skvae.storage.pretrained import has_own_rate, load_pretrained
from skvae.utils.parameters import check_option, check_real
from skvae.utils.presets import PRESETS, Preset, preset_limit
from skvae.utils.waveforms import check_sample_rate, open_waveform, restore_dtype
from skvae.utils.workers import run_tasks

#: Most channels of a recording; a longer axis must be time.
_MOST_CHANNELS = 64

#: Models that stay loaded between calls.
_N_LOADED = 4


def reduce_noise(
    y: Any,
    sr: int | None = None,
    model: Any = "best",
    *,
    preset: Preset = "auto",
    attenuation_limit: float | None = None,
    mix: float = 1.0,
    n_jobs: int | None = None,
) -> Any:
    """Remove the noise from a recording of speech.

    Parameters
    ----------
    y : ndarray, AudioFile, path, or list of these
        Recording of shape (n_samples,), (n_channels, n_samples) or
        (n_samples, n_channels): the shorter axis holds the channels. Samples are floats
        or int16. All channels are multiplied by one mask, so the stereo image stays.
    sr : int, default=None
        Sample rate of `y` in Hz. It may be None for files, which know theirs.
    model : str, path-like or enhancer, default="best"
        Pretrained model, untrained method such as "wiener", model file, or fitted
        enhancer.
    preset : {"auto", "gentle", "normal", "strong"}, default="auto"
        Strength: "gentle" lowers the noise by at most 12 dB, "normal" by at most 24 dB,
        so that the pauses do not turn black, and "strong" has no limit. "auto" is
        "normal" for models without a limit of their own, which is used if there is one.
        A fitted enhancer is used as it is.
    attenuation_limit : float, default=None
        Maximum attenuation in dB, in place of that of `preset`. None means the latter.
    mix : float, default=1.0
        Share of the enhanced recording in the result, from 0 to 1; the rest is `y`.
    n_jobs : int, default=None
        Number of recordings of a list that are enhanced in parallel.

    Returns
    -------
    ndarray, or list of ndarray
        Enhanced recording with the shape, type and sample rate of `y`; a list for a
        list.

    Raises
    ------
    ValueError
        If a recording or a parameter cannot be used; the message says what to do.

    Warns
    -----
    MusicWarning
        If little is left of a recording that was probably music, which models of speech
        remove.

    See Also
    --------
    enhance_file : From file to file, in bounded memory.
    load_pretrained : The model as an estimator, with `transform` and `separate`.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import reduce_noise
    >>> stereo = np.random.default_rng(0).standard_normal((2, 44100))
    >>> reduce_noise(stereo, 44100, "wiener").shape
    (2, 44100)
    """
    check_real("mix", mix, low=0, high=1)
    check_option("preset", preset, ("auto", *PRESETS))
    check_real("attenuation_limit", attenuation_limit, low=0, optional=True)
    if isinstance(y, list | tuple) and not _holds_numbers(y):
        calls = [
            (item, sr, model, preset, attenuation_limit, mix, k)
            for k, item in enumerate(y)
        ]
        if effective_n_jobs(n_jobs) == 1:
            return [_reduce(*call) for call in calls]
        return list(run_tasks(_reduce, calls, n_jobs))
    return _reduce(y, sr, model, preset, attenuation_limit, mix)


def _holds_numbers(items: Any) -> bool:
    return (
        len(items) > 0
        and all(np.isscalar(item) for item in items)
        and not any(isinstance(item, str) for item in items)
    )


def _reduce(
    y: Any,
    sr: int | None,
    model: Any,
    preset: str,
    attenuation_limit: float | None,
    mix: float,
    number: int | None = None,
) -> np.ndarray:
    name = "`y`" if number is None else f"`y[{number}]`"
    samples, rate, is_transposed = _open(y, sr, name)
    if samples.size == 0:
        return np.array(np.asarray(y))
    enhancer = _enhancer(model, rate)
    limit = enhancer.attenuation_limit
    if attenuation_limit is not None:
        limit = attenuation_limit
    elif preset != "auto" or enhancer is not model:
        limit = preset_limit(preset, limit)
    if limit != enhancer.attenuation_limit:
        # A copy: the loaded model is shared by threads and later calls.
        enhancer = copy.copy(enhancer).set_params(attenuation_limit=limit)
    channels = [
        open_waveform(channel, f"channel {k} of {name}")
        for k, channel in enumerate(samples)
    ]
    own_rate = check_sample_rate(enhancer.stft_.sample_rate)
    working_rate = -(-rate // own_rate) * own_rate
    resampled = [_resample(channel, rate, working_rate) for channel in channels]
    detector = MusicDetector.of(enhancer.stft_)
    pieces = list(enhancer.enhance_blocks(resampled, working_rate, detector.observe))
    if detector.is_erased:
        warnings.warn(f"{name}: {detector.message}", MusicWarning, stacklevel=3)
    enhanced = [
        _resample(channel, working_rate, rate, len(channels[0]))
        for channel in np.concatenate(pieces, 1)
    ]
    found = np.stack(
        [
            restore_dtype(mix * one + (1 - mix) * other, samples.dtype)
            for one, other in zip(enhanced, channels, strict=True)
        ]
    )
    if np.ndim(y) == 1 or (len(found) == 1 and is_transposed is None):
        return found[0]
    return np.ascontiguousarray(found.T) if is_transposed else found


def _open(y: Any, sr: int | None, name: str) -> tuple[np.ndarray, int, bool | None]:
    """Return samples (n_channels, n_samples), the rate, and whether `y` is transposed.

    The last is None where the caller's array has no axis of channels.
    """
    if isinstance(y, str | os.PathLike):
        y, sr = _read_channels(y, sr, name)
    elif isinstance(y, AudioFile):
        sr = _agreed_rate(y.sample_rate, sr, name)
    if sr is None:
        raise ValueError(f"`sr` must be the sample rate of {name}, got None.")
    rate = check_sample_rate(sr)
    array = np.asarray(y)
    if array.dtype.kind != "f" and array.dtype != np.int16:
        raise ValueError(
            f"{name} must hold floats or int16, got {array.dtype}: divide other "
            "integers by their full scale first."
        )
    if array.ndim == 1:
        return array[None], rate, None
    if array.ndim != 2:
        raise ValueError(
            f"{name} must have one or two dimensions, got shape {array.shape}."
        )
    is_transposed = array.shape[0] > array.shape[1]
    channels = array.T if is_transposed else array
    if len(channels) > _MOST_CHANNELS:
        raise ValueError(
            f"{name} must have up to {_MOST_CHANNELS} channels, got shape "
            f"{array.shape}: pass a list of recordings for several of them."
        )
    return channels, rate, is_transposed


def _read_channels(
    path: str | os.PathLike[str], sr: int | None, name: str
) -> tuple[np.ndarray, int]:
    import soundfile

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        if not os.path.exists(path):
            raise FileNotFoundError(f"{os.fspath(path)!r} does not exist.") from error
        raise ValueError(
            f"{os.fspath(path)!r} is no audio that can be read: {error}"
        ) from error
    sr = _agreed_rate(rate, sr, name)
    return (samples[:, 0] if samples.shape[1] == 1 else samples.T), sr


def _agreed_rate(rate: int, sr: int | None, name: str) -> int:
    if sr is not None and sr != rate:
        raise ValueError(
            f"`sr` must be None or {rate}, the sample rate of {name}, got {sr}."
        )
    return rate


def _enhancer(model: Any, rate: int) -> BaseEnhancer:
    if isinstance(model, BaseEnhancer):
        return model
    if not isinstance(model, str | os.PathLike):
        raise ValueError(
            "`model` must be the name of a model, a model file or a fitted enhancer, "
            f"got {model!r}."
        )
    return _load(os.fspath(model), None if has_own_rate(model) else rate)


@lru_cache(maxsize=_N_LOADED)
def _load(model: str, rate: int | None) -> BaseEnhancer:
    """Load a model once; nobody changes what this returns."""
    return load_pretrained(
        model, **({} if rate is None else {"stft": scaled_stft(rate)})
    )


def _resample(
    x: np.ndarray, rate: int, wanted_rate: int, length: int | None = None
) -> np.ndarray:
    if rate == wanted_rate:
        return x
    import soxr

    resampled = soxr.resample(x, rate, wanted_rate, quality=QUALITY)
    if length is None:
        return resampled
    return np.pad(resampled[:length], (0, max(0, length - len(resampled))))
