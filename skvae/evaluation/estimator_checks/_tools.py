"""Data of the checks, and the comparisons that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from sklearn.base import clone

from skvae.datasets import make_dataset, make_noise
from skvae.signal.stft import STFT
from skvae.utils.waveforms import INT16_SCALE

#: Length of the utterances in seconds at 16 kHz: short, since networks are slow.
_DURATION = (0.2, 0.3)
#: Relative errors that rounding may cause.
TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}
#: Signals that occur in any large corpus, so that `fit` must accept them.
IN_ANY_CORPUS = ("digital silence", "one click", "one sample")


class Recording:
    """A waveform that reads itself and has a sample rate, and nothing else."""

    def __init__(self, samples: np.ndarray, sample_rate: int):
        self._samples = samples
        self.sample_rate = sample_rate
        self.dtype = samples.dtype

    def __len__(self) -> int:
        return len(self._samples)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._samples, dtype=dtype)


@lru_cache
def _data() -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    noisy, clean = make_dataset(3, _DURATION, 0.0, random_state=0)
    for x in (*noisy, *clean):
        x.flags.writeable = False
    return tuple(noisy), tuple(clean)


def noisy_speech() -> list[np.ndarray]:
    """Three noisy utterances at 0 dB, read-only."""
    return list(_data()[0])


def clean_speech() -> list[np.ndarray]:
    """The clean speech of the same utterances."""
    return list(_data()[1])


def equal_lengths() -> np.ndarray:
    """The noisy utterances as a 2-D array, cut to the shortest."""
    shortest = min(len(x) for x in noisy_speech())
    return np.stack([x[:shortest] for x in noisy_speech()])


@lru_cache
def pink_noise(n_samples: int) -> np.ndarray:
    """Noise, the same for each length."""
    return make_noise(n_samples, "pink", random_state=0)


def hostile_signals(n_fft: int) -> dict[str, np.ndarray]:
    """Signals that break careless arithmetic, by name."""
    n = 4 * n_fft
    click = np.zeros(n)
    click[n // 2] = 1
    silence_then_noise = np.zeros(8 * n_fft)
    silence_then_noise[n:] = pink_noise(n)
    return {
        "digital silence": np.zeros(n),
        "one click": click,
        "a constant": np.full(n, 0.5),
        "a square wave at full scale": np.where(np.arange(n) // 20 % 2 == 0, 1.0, -1.0),
        "a level of 1e-6": 1e-6 * pink_noise(n),
        "a level of 1e4": 1e4 * pink_noise(n),
        "silence before noise": silence_then_noise,
        "one sample": np.ones(1),
    }


def fit_clone(estimator: Any, X: Any = None, **parameters: Any) -> Any:
    """Clone with a seed and other parameters, fitted."""
    enhancer = clone(estimator).set_params(random_state=0, **parameters)
    return enhancer.fit(clean_speech() if X is None else X)


def enhance_in_blocks(enhancer: Any, channels: Any) -> np.ndarray:
    """Result of `enhance_blocks`, its pieces joined."""
    return np.concatenate(list(enhancer.enhance_blocks(channels)), axis=1)


def analysis_of(estimator: Any) -> STFT:
    """STFT of an enhancer, which may be the default."""
    return STFT() if estimator.stft is None else clone(estimator.stft)


def summary_of(value: Any) -> str:
    """Describe a result in an error message."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, list | tuple):
        kinds = sorted({type(item).__name__ for item in value})
        return f"a {type(value).__name__} of {len(value)} {' and '.join(kinds)}"
    return type(value).__name__


def require(condition: bool, message: str) -> None:
    """Raise an AssertionError unless a condition holds, with ``python -O`` too."""
    if not condition:
        raise AssertionError(message)


def require_equal(got: Sequence[Any], wanted: Sequence[Any], what: str) -> None:
    """Require that two lists of utterances are equal to the last bit."""
    require(len(got) == len(wanted), f"{what}: {len(got)} against {len(wanted)}.")
    for k, (one, other) in enumerate(zip(got, wanted, strict=True)):
        require(
            one.shape == other.shape and one.dtype == other.dtype,
            f"{what}: utterance {k} has dtype and shape {one.dtype}, {one.shape} "
            f"against {other.dtype}, {other.shape}.",
        )
        require(
            np.array_equal(one, other),
            f"{what}: utterance {k} differs by up to {np.abs(one - other).max():.3g}, "
            "should be the same to the last bit.",
        )


def require_close(got: np.ndarray, wanted: np.ndarray, what: str) -> None:
    """Require that two arrays differ only by rounding."""
    require(got.shape == wanted.shape, f"{what}: {got.shape} against {wanted.shape}.")
    # Integers may be rounded up or down.
    tolerance = max(
        TOLERANCE.get(part.real.dtype, 1 / INT16_SCALE) for part in (got, wanted)
    )
    scale = max(float(np.abs(wanted).max()), np.finfo(np.float64).tiny)
    error = float(np.abs(got - wanted.astype(np.result_type(got, np.float32))).max())
    error /= scale
    require(
        error <= tolerance,
        f"{what} differ by {error:.3g} of the peak, should by {tolerance:g} at most.",
    )


def require_raises(
    call: Callable[[], Any],
    what: str,
    kinds: type[Exception] | tuple[type[Exception], ...] = (ValueError, TypeError),
    mentions: str = "",
) -> None:
    """Require that a call raises an error of some kind with some text."""
    try:
        call()
    except kinds as error:
        message = str(error)
    except Exception as error:
        raise AssertionError(
            f"{what} must raise a ValueError, raises {error!r}."
        ) from error
    else:
        raise AssertionError(f"{what} must raise an error, passes.")
    require(
        mentions in message,
        f"{what}: the error must say {mentions!r}, says {message!r}",
    )
