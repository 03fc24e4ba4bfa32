"""Mixture of one utterance and one noise at a given signal-to-noise ratio."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Literal, overload

import numpy as np

from skvae.datasets.mixing.augmentation import energy
from skvae.signal.spectrogram import reads_itself
from skvae.utils.random import RandomState, check_generator
from skvae.utils.waveforms import open_waveform

#: Samples over which the end of a repeated noise fades into its beginning: 20 ms at
#: 16 kHz.
FADE = 320

#: Number of random segments of a long noise that are tried until one is not silent.
SILENT_TRIES = 10

#: Minimum SNR in dB. Below it, no trace of the speech is left in float32.
LOWEST_SNR = -300.0


@overload
def mix_at_snr(
    clean: Any,
    noise: Any,
    snr: float,
    rng: RandomState = ...,
    return_noise: Literal[False] = ...,
) -> np.ndarray: ...
@overload
def mix_at_snr(
    clean: Any,
    noise: Any,
    snr: float,
    rng: RandomState = ...,
    *,
    return_noise: Literal[True],
) -> tuple[np.ndarray, np.ndarray]: ...
def mix_at_snr(
    clean: Any,
    noise: Any,
    snr: float,
    rng: RandomState = None,
    return_noise: bool = False,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    r"""Add noise to clean speech at a signal-to-noise ratio.

    The noise is scaled and the speech is not. Over the whole utterance,

    .. math:: 10 \log_{10} \frac{\sum_t s_t^2}{\sum_t b_t^2} = \text{snr}.

    Parameters
    ----------
    clean : waveform, shape (n_samples,)
        Clean speech: an array or an :class:`AudioFile`.
    noise : waveform, shape (n_noise,)
        Noise. If it is longer than the speech, a random segment is used, and only that
        segment of an :class:`AudioFile` is read. If it is shorter, it is repeated from
        a random position, with its end faded into its beginning.
    snr : float
        SNR in dB. Infinity means no noise.
    rng : int, Generator, RandomState or None
        Seed or generator for the random position in the noise.
    return_noise : bool, default=False
        Whether to return the scaled noise as well.

    Returns
    -------
    noisy : ndarray of shape (n_samples,)
        Mixture, in float32 or float64 like `clean`, and in float32 for 16-bit integers.
        It is not clipped and may exceed full scale.
    scaled_noise : ndarray of shape (n_samples,)
        Noise in the mixture. Returned only if `return_noise` is True.

    Raises
    ------
    ValueError
        If a waveform or `snr` is not valid, or if both waveforms have a `sample_rate`
        and the two differ.

    See Also
    --------
    Mixer : Random mixtures with various noises and SNRs.

    Notes
    -----
    The SNR of silence is not defined. Noise is added to silent speech
    without scaling. Silent noise adds nothing. If only the chosen segment is silent, up
    to ten segments are tried.

    Examples
    --------
    >>> import numpy as np
    >>> clean = np.sin(np.arange(1000.0))
    >>> hiss = np.random.default_rng(0).standard_normal(5000)
    >>> noisy, noise = mix_at_snr(clean, hiss, 5.0, rng=0, return_noise=True)
    >>> round(float(10 * np.log10(np.sum(clean**2) / np.sum(noise**2))), 6)
    5.0
    """
    check_snr(snr)
    check_same_rate(clean, noise)
    speech = open_waveform(clean, "the clean speech")
    stretch = take_noise(noise, len(speech), check_generator(rng))
    scaled = scale_noise(stretch, speech, snr)
    noisy = speech + scaled
    return (noisy, scaled) if return_noise else noisy


def check_same_rate(clean: Any, noise: Any) -> None:
    """Raise a ValueError if speech and noise have different sample rates.

    Parameters
    ----------
    clean, noise : waveform
        Waveforms. They are compared if both have a `sample_rate`.

    Raises
    ------
    ValueError
        If the rates differ.

    Examples
    --------
    >>> check_same_rate([0.0], [0.0])
    """
    rates = [getattr(waveform, "sample_rate", None) for waveform in (clean, noise)]
    if None not in rates and rates[0] != rates[1]:
        raise ValueError(
            f"speech and noise must have one sample rate, got {rates[0]} Hz and "
            f"{rates[1]} Hz: resample with sample_rate= of AudioFile or find_audio."
        )


def check_snr(snr: Any) -> None:
    """Raise a ValueError unless an SNR is a number in its range."""
    is_number = isinstance(snr, Real) and not isinstance(snr, bool)
    if not is_number or not snr >= LOWEST_SNR:
        raise ValueError(f"`snr` must be at least {LOWEST_SNR} dB, got {snr!r}.")


def scale_noise(noise: np.ndarray, speech: np.ndarray, snr: float) -> np.ndarray:
    """Scale noise to an SNR, unless speech or noise is silent."""
    noise_power, speech_power = energy(noise), energy(speech)
    gain = 1.0
    if noise_power > 0.0 and speech_power > 0.0:
        gain = math.sqrt(speech_power / noise_power) * 10.0 ** (-float(snr) / 20)
    return (noise.astype(np.float64) * gain).astype(speech.dtype)


def take_noise(noise: Any, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Cut or repeat noise to `n_samples` samples."""
    # Of an AudioFile and the like, only the segment is read.
    reads_parts = reads_itself(noise) and hasattr(noise, "__getitem__")
    name = repr(noise) if reads_parts else "the noise"
    source = noise if reads_parts else np.asarray(noise)
    if isinstance(source, np.ndarray) and source.ndim != 1:
        source = open_waveform(noise, name)  # raises an error
    surplus = len(source) - n_samples
    if surplus < 0:
        return _repeat(open_waveform(source, name), n_samples, rng)
    for _ in range(SILENT_TRIES if surplus > 0 else 1):
        start = int(rng.integers(surplus + 1))
        stretch = open_waveform(source[start : start + n_samples], name)
        if stretch.any():
            break
    return stretch


def _repeat(noise: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Repeat a short noise from a random position without a jump at the seams.

    The last samples fade out while the first samples fade in. This cross-fade is the
    beginning of the loop, which continues up to the last sample before it. The squares
    of the two gains add up to one, which keeps the power of uncorrelated noise.
    """
    fade = min(FADE, len(noise) // 2)
    angle = np.pi / 2 * np.arange(fade) / max(fade, 1)
    loop = noise[: len(noise) - fade].copy()
    loop[:fade] = noise[:fade] * np.sin(angle) + noise[len(noise) - fade :] * np.cos(
        angle
    )
    start = int(rng.integers(len(loop)))
    return np.resize(np.roll(loop, -start), n_samples)
