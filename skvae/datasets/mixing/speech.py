"""Synthetic speech-like signals.

The synthesis is a source-filter model. The source is a sawtooth, whose harmonics decay
like those of voiced speech at the lips, and noise. The filter is a set of resonances
that glide from syllable to syllable. The result does not sound like a person. Yet it is
voiced, fricative and silent in turn, and sparse in time and frequency, as enhancement
assumes.
"""

from __future__ import annotations

import math

import numpy as np

from skvae.datasets.mixing.sounds import sawtooth
from skvae.utils.parameters import check_real
from skvae.utils.random import RandomState, check_generator
from skvae.utils.waveforms import check_sample_rate

#: Peak of synthetic speech.
SPEECH_PEAK = 0.5

#: Approximate length in seconds of the frames of the time-varying filter.
FRAME_SECONDS = 0.032

#: Minimum length in seconds of the synthesis, so that short signals contain a syllable.
SHORTEST_SPEECH = 0.6

# First three formants of vowels in Hz, rounded averages of adult voices. The fourth is
# nearly constant.
_VOWELS = np.array(
    [
        [300.0, 2500.0, 3200.0],
        [420.0, 2200.0, 2800.0],
        [580.0, 2000.0, 2700.0],
        [780.0, 1850.0, 2600.0],
        [790.0, 1200.0, 2600.0],
        [620.0, 950.0, 2550.0],
        [470.0, 1150.0, 2400.0],
        [340.0, 950.0, 2400.0],
    ]
)
_FOURTH_FORMANT = 3700.0
_FORMANT_WIDTHS = (90.0, 120.0, 180.0, 260.0)
_FORMANT_GAINS = (1.0, 0.6, 0.35, 0.2)


def make_speech(
    n_samples: int = 48_000,
    sample_rate: int = 16_000,
    random_state: RandomState = None,
) -> np.ndarray:
    """Generate a speech-like signal.

    It consists of syllables with a gliding vowel, some of them with a fricative before
    it, and of pauses, which are digital silence. The voice (pitch, length of the vocal
    tract, tempo) is random, so that every call is another speaker.

    Parameters
    ----------
    n_samples : int, default=48_000
        Number of samples.
    sample_rate : int, default=16_000
        Sample rate in Hz.
    random_state : int, Generator, RandomState or None
        Seed or generator.

    Returns
    -------
    ndarray of shape (n_samples,)
        Signal in float32, with a peak of 0.5.

    Raises
    ------
    ValueError
        If `n_samples` or `sample_rate` is not a positive whole number.

    See Also
    --------
    make_noise : Synthetic noise of several kinds.
    make_dataset : Pairs of noisy and clean speech.

    Examples
    --------
    >>> import numpy as np
    >>> speech = make_speech(16000, random_state=0)
    >>> speech.shape, speech.dtype, float(np.abs(speech).max())
    ((16000,), dtype('float32'), 0.5)
    """
    check_real("n_samples", n_samples, low=1, integer=True)
    n_samples, rate = int(n_samples), check_sample_rate(sample_rate)
    rng = check_generator(random_state)
    n_made = max(n_samples, math.ceil(SHORTEST_SPEECH * rate))
    speech = _synthesize(n_made, rate, rng)
    if n_samples < n_made:
        middle = int(np.abs(speech).argmax())
        first = min(max(0, middle - n_samples // 2), n_made - n_samples)
        speech = speech[first : first + n_samples]
    peak = max(float(np.abs(speech).max()), float(np.finfo(np.float32).tiny))
    return speech * np.float32(SPEECH_PEAK / peak)


def _synthesize(n_samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Draw all syllables, then synthesize and filter them together."""
    pitch = rng.uniform(90.0, 240.0)  # Hz; higher voices have shorter vocal tracts
    tract = (pitch / 150.0) ** 0.2 * rng.uniform(0.95, 1.05)
    tempo = rng.uniform(0.85, 1.2)

    # Enough syllables even if all of them are as short as possible.
    duration = n_samples / rate
    n_syllables = math.ceil(duration / 0.1) + 1
    pause = np.where(
        rng.random(n_syllables) < 0.2,
        rng.uniform(0.12, 0.4, n_syllables),
        rng.uniform(0.0, 0.03, n_syllables),
    )
    pause[0] = min(pause[0], 0.05)
    consonant = tempo * rng.uniform(0.05, 0.12, n_syllables)
    vowel = tempo * rng.uniform(0.1, 0.24, n_syllables)
    end = np.cumsum(pause + consonant + vowel)
    onset, release = end - vowel - consonant, end
    middle = end - vowel
    loud = 10 ** (rng.uniform(-8.0, 0.0, n_syllables) / 20)
    hiss = loud * rng.uniform(0.1, 0.3, n_syllables)
    hiss *= rng.random(n_syllables) < 0.55

    time = np.arange(n_samples) / rate
    nought = np.zeros(n_syllables)
    voicing = _curve(
        time,
        [middle, middle + 0.25 * vowel, release - 0.35 * vowel, release],
        [nought, loud, 0.8 * loud, nought],
    )
    friction = _curve(
        time,
        [onset, onset + 0.4 * consonant, middle - 0.2 * consonant, middle],
        [nought, hiss, hiss, nought],
    )

    # Each syllable has an accent of some semitones, and the pitch falls to the end.
    accent = rng.normal(0.0, 2.0, (2, n_syllables)) - 4.0 * end / end[-1] + 2.0
    semitones = _curve(time, [middle, release], [accent[0], accent[1] - 1.0])
    voice = sawtooth(pitch * 2 ** (semitones / 12), rate, rng)
    noise = rng.standard_normal(n_samples, dtype=np.float32)
    breath = 0.04 * noise
    voiced = (voice + breath) * _soft(voicing)
    unvoiced = noise * _soft(friction)

    half = max(4, 2 ** round(math.log2(FRAME_SECONDS * rate)) // 2)
    n_frames = math.ceil(n_samples / half) + 1
    frame_time = np.arange(n_frames) * half / rate
    frequency = np.fft.rfftfreq(2 * half, 1 / rate).astype(np.float32)

    target = _VOWELS[rng.integers(len(_VOWELS), size=n_syllables)]
    coming = np.roll(target, -1, axis=0)
    formants = [
        _curve(
            frame_time,
            [middle + 0.2 * vowel, release - 0.2 * vowel],
            [target[:, k], 0.6 * target[:, k] + 0.4 * coming[:, k]],
        )
        for k in range(target.shape[1])
    ]
    formants.append(np.full(n_frames, _FOURTH_FORMANT))
    mouth = np.zeros((n_frames, len(frequency)), dtype=np.float32)
    for formant, width, gain in zip(
        formants, _FORMANT_WIDTHS, _FORMANT_GAINS, strict=True
    ):
        mouth += _resonance(frequency, tract * formant, width, gain)

    place = rng.uniform(2200.0, 6500.0, n_syllables)
    place = np.minimum(place, 0.4 * rate)
    place = place[np.searchsorted(middle, frame_time).clip(max=n_syllables - 1)]
    teeth = _resonance(frequency, place, 900.0, 1.0)
    return _filter_frames([(voiced, mouth), (unvoiced, teeth)], half)


def _curve(
    time: np.ndarray, moments: list[np.ndarray], values: list[np.ndarray]
) -> np.ndarray:
    """Interpolate linearly between values that recur in every syllable."""
    x, y = np.stack(moments, axis=1).ravel(), np.stack(values, axis=1).ravel()
    return np.interp(time, x, y).astype(np.float32)


def _soft(envelope: np.ndarray) -> np.ndarray:
    """Smooth the onset of a piecewise linear envelope."""
    return envelope * np.sqrt(envelope)


def _resonance(
    frequency: np.ndarray, center: np.ndarray, width: float, gain: float
) -> np.ndarray:
    """Return the gain of a resonance, in shape (n_frames, n_frequencies)."""
    distance = (frequency - center[:, None].astype(np.float32)) / np.float32(width)
    return np.float32(gain) / (np.float32(1.0) + distance**2)


def _filter_frames(
    sources: list[tuple[np.ndarray, np.ndarray]], half: int
) -> np.ndarray:
    """Apply gains per frame and frequency, then add the overlapping frames."""
    n_samples = len(sources[0][0])
    n_frames = len(sources[0][1])
    # The square root of a Hann window is applied twice: with half overlap, the windows
    # add up to one.
    window = np.sin(np.pi * (np.arange(2 * half) + 0.5) / (2 * half))
    window = window.astype(np.float32)
    spectrum = 0
    for source, gains in sources:
        padded = np.zeros((n_frames + 1, half), dtype=np.float32)
        padded.reshape(-1)[half : half + n_samples] = source
        frames = np.concatenate([padded[:-1], padded[1:]], axis=1)
        spectrum = spectrum + np.fft.rfft(frames * window, axis=1) * gains
    frames = np.fft.irfft(spectrum, 2 * half, axis=1) * window
    out = np.zeros((n_frames + 1, half), dtype=np.float32)
    out[:-1] += frames[:, :half]
    out[1:] += frames[:, half:]
    return out.reshape(-1)[half : half + n_samples]
