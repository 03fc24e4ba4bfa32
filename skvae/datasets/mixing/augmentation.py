"""Random changes of speech and noise, for more variety than the recordings have.

Speech and noise are changed in the spectrum of the whole segment. A change of speed
adds or removes bins, and an equalizer multiplies each bin by a gain. Together they cost
two Fourier transforms and cause no aliasing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import fft as scipy_fft
from sklearn.base import BaseEstimator

from skvae.datasets.mixing.cuts import scatter_cuts
from skvae.utils.parameters import check_real

#: Speeds are multiples of 1 / SPEED_STEPS, so that all lengths are whole numbers.
SPEED_STEPS = 100

#: Minimum and maximum speed: two octaves, beyond which little of a sound is left.
SLOWEST, FASTEST = 0.25, 4.0

#: Padding with silence on both sides of a segment, in blocks of SPEED_STEPS samples:
#: 19 ms at 16 kHz. Filters ring into it instead of wrapping around.
PADDING = 3

#: Equalizer: number of knots, octaves below half the sample rate that they cover (from
#: 62.5 Hz at 16 kHz), and grid points per octave between them.
N_KNOTS, N_OCTAVES, GRID_PER_OCTAVE = 7, 7, 16

#: Maximum difference of level between two summed noises in dB.
BALANCE = 10.0

#: Random walk of a noise's gain: standard deviation of a step in dB, seconds between
#: steps, and maximum magnitude of the gain in dB.
GAIN_STEP, GAIN_SECONDS, GAIN_RANGE = 4.0, 0.5, 15.0


class Augmentation(BaseEstimator):
    """Random changes of the speech and the noise of a mixture.

    With little noise to train on, networks memorize it. Augmentation creates more
    variety: other speeds, other spectra, sums of noises and changing levels.

    Parameters
    ----------
    speech_speed : sequence of float, default=(0.9, 1.0, 1.1)
        Speeds of speech from 0.25 to 4 in steps of 0.01, all equally likely. Pitch and
        formants change as well, so that each speed is another speaker. Speeds above 1
        need more speech than the mixture is long (:meth:`speech_length`). If a segment
        is too short for a speed, another speed is used.
    noise_speed : sequence of float, default=(0.7, 0.85, 1.0, 1.2, 1.4)
        Speeds of noise, in the same form. Higher speeds use longer segments of long
        noises.
    sums : float, default=0.3
        Fraction of mixtures with two noises, which differ by up to 10 dB.
    gains : float, default=0.3
        Fraction of mixtures whose noise has a slowly changing gain: a random walk with
        steps of about 4 dB every half second, within 15 dB.
    events : float, default=0.0
        Fraction of noises that are cut into short events, preferably where they are
        loud, at random times and gains in silence. It turns a recording into transient
        noise of the same sounds.
    speech_equalization : float, default=5.0
        Maximum spread in dB of the speech's equalizer, which has random gains at seven
        frequencies about an octave apart. Each mixture draws their standard deviation
        between 0 and this value. The power of the speech is kept.
    noise_equalization : float, default=8.0
        Maximum spread in dB of the noise's equalizer.

    See Also
    --------
    Mixer : Uses an augmentation for its mixtures.

    Notes
    -----
    Sounds that are slowed down are empty above their former band limit, which has moved
    down. A segment counts as silent before its beginning and after its end.

    Examples
    --------
    >>> from skvae.datasets import Augmentation, Mixer
    >>> mixer = Mixer(augment=Augmentation(speech_speed=[1.0]), random_state=0)
    >>> noisy, clean = mixer.pairs([[0.5, 0.25, -0.5]])
    >>> clean[0].shape
    (3,)
    """

    def __init__(
        self,
        *,
        speech_speed: Sequence[float] = (0.9, 1.0, 1.1),
        noise_speed: Sequence[float] = (0.7, 0.85, 1.0, 1.2, 1.4),
        sums: float = 0.3,
        gains: float = 0.3,
        events: float = 0.0,
        speech_equalization: float = 5.0,
        noise_equalization: float = 8.0,
    ) -> None:
        self.speech_speed = speech_speed
        self.noise_speed = noise_speed
        self.sums = sums
        self.gains = gains
        self.events = events
        self.speech_equalization = speech_equalization
        self.noise_equalization = noise_equalization

    def check(self) -> None:
        """Raise a ValueError if a parameter is out of range.

        Examples
        --------
        >>> Augmentation(sums=2).check()
        Traceback (most recent call last):
            ...
        ValueError: `sums` must be a number in [0, 1], got 2.
        """
        for name in ("speech_speed", "noise_speed"):
            _check_speeds(name, getattr(self, name))
        for name in ("sums", "gains", "events"):
            check_real(name, getattr(self, name), low=0, high=1)
        for name in ("speech_equalization", "noise_equalization"):
            check_real(name, getattr(self, name), low=0)

    def speech_length(self, n_samples: int) -> int:
        """Return the number of samples of speech that suffices for all speeds.

        Parameters
        ----------
        n_samples : int
            Number of samples of the output.

        Returns
        -------
        int
            Number of samples at the highest speed, at least `n_samples`.

        Examples
        --------
        >>> Augmentation(speech_speed=[0.9, 1.1]).speech_length(32000)
        35200
        """
        return max(
            n_samples, *(_reach(n_samples, step) for step in _steps(self.speech_speed))
        )

    def change_speech(
        self, speech: np.ndarray, n_samples: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Change speech.

        Parameters
        ----------
        speech : ndarray of shape (n_speech,)
            Speech of at least `n_samples` samples. If the speed needs fewer, a random
            segment is used.
        n_samples : int
            Number of samples of the output.
        rng : Generator
            Generator of the random changes.

        Returns
        -------
        ndarray of shape (n_samples,)
            Changed speech in the dtype of `speech`, with the mean power of the segment
            that was used.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> Augmentation().change_speech(np.ones(3520), 3200, rng).shape
        (3200,)
        """
        steps = [
            step
            for step in _steps(self.speech_speed)
            if _reach(n_samples, step) <= len(speech)
        ]
        step = steps[int(rng.integers(len(steps)))] if steps else SPEED_STEPS
        stretch = cut_at_random(speech, _reach(n_samples, step), rng)
        if step == SPEED_STEPS and self.speech_equalization == 0:
            return stretch
        spectrum = _spectrum(stretch, step, _count_blocks(n_samples))
        spectrum *= _draw_equalizer(self.speech_equalization, len(spectrum), rng)
        changed = _waveform(spectrum, n_samples)
        power = energy(changed) / len(changed)
        if power > 0.0:
            wanted = energy(stretch) / len(stretch)
            changed *= changed.dtype.type(math.sqrt(wanted / power))
        return changed

    def change_noise(
        self,
        take: Callable[[int], np.ndarray],
        n_samples: int,
        sample_rate: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Take noise and change it.

        Parameters
        ----------
        take : callable
            Function that returns a new segment of noise of a given length.
        n_samples : int
            Number of samples of the output.
        sample_rate : int
            Sample rate in Hz, which sets the speed of the changing gain.
        rng : Generator
            Generator of the random changes.

        Returns
        -------
        ndarray of shape (n_samples,)
            Noise, about as loud as the first segment that was taken.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> take = rng.standard_normal
        >>> Augmentation().change_noise(take, 3200, 16000, rng).shape
        (3200,)
        """
        n_blocks = _count_blocks(n_samples)
        steps = _steps(self.noise_speed)

        def take_at_speed() -> tuple[np.ndarray, float]:
            step = steps[int(rng.integers(len(steps)))]
            stretch = take(_reach(n_samples, step))
            if self.events > 0 and rng.random() < self.events:
                stretch = scatter_cuts(stretch, sample_rate, rng)
            return _spectrum(stretch, step, n_blocks), energy(stretch) / len(stretch)

        spectrum, power = take_at_speed()
        if rng.random() < self.sums:
            other, its_power = take_at_speed()
            gain = 10.0 ** (rng.uniform(-BALANCE, BALANCE) / 20)
            if power > 0.0 and its_power > 0.0:
                gain *= math.sqrt(power / its_power)
            spectrum = spectrum + np.multiply(other, gain, dtype=np.complex128)
        spectrum *= _draw_equalizer(self.noise_equalization, len(spectrum), rng)
        noise = _waveform(spectrum, n_samples)
        if rng.random() < self.gains:
            noise *= walk_gain(n_samples, sample_rate, rng)
        return noise


def energy(waveform: np.ndarray) -> float:
    """Return the sum of squares in double precision.

    Parameters
    ----------
    waveform : ndarray of shape (n_samples,)
        Waveform.

    Returns
    -------
    float
        Sum of squares.

    Examples
    --------
    >>> import numpy as np
    >>> energy(np.full(4, 1e-30, dtype=np.float32)) > 0
    True
    """
    waveform = waveform.astype(np.float64, copy=False)
    return float(waveform @ waveform)


def cut_at_random(waveform: Any, n_samples: int, rng: np.random.Generator) -> Any:
    """Cut a segment from a random position of a waveform.

    Parameters
    ----------
    waveform : ndarray of shape (n_waveform,) or AudioFile
        Waveform of at least `n_samples` samples.
    n_samples : int
        Length of the segment.
    rng : Generator
        Generator of the position. It is not used if the lengths are equal.

    Returns
    -------
    ndarray of shape (n_samples,) or AudioFile
        Segment, as a view.

    Examples
    --------
    >>> import numpy as np
    >>> int(cut_at_random(np.arange(10), 3, np.random.default_rng(0))[-1]) < 10
    True
    """
    surplus = len(waveform) - n_samples
    if surplus == 0:
        return waveform
    start = int(rng.integers(surplus + 1))
    return waveform[start : start + n_samples]


def equalizer(n_bins: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a smooth gain over frequency.

    Its levels in dB are normally distributed at seven frequencies and interpolated
    linearly over the logarithm of frequency. Below the lowest frequency the gain is
    constant.

    Parameters
    ----------
    n_bins : int
        Number of frequencies, evenly spaced from zero to half the sample rate.
    spread : float
        Standard deviation in dB.
    rng : Generator
        Generator of the levels.

    Returns
    -------
    ndarray of shape (n_bins,)
        Gain in float32.

    Examples
    --------
    >>> import numpy as np
    >>> gain = equalizer(513, 3.0, np.random.default_rng(0))
    >>> gain.shape, gain.dtype, bool((gain > 0).all())
    ((513,), dtype('float32'), True)
    """
    # For many bins, interpolation is faster than exponentiation.
    octave = np.linspace(-N_OCTAVES, 0.0, N_OCTAVES * GRID_PER_OCTAVE + 1)
    knots = np.linspace(-N_OCTAVES, 0.0, N_KNOTS)
    level = np.interp(octave, knots, spread * rng.standard_normal(N_KNOTS))
    grid = 2.0**octave * (n_bins - 1)
    gain = np.interp(np.arange(n_bins), grid, 10.0 ** (level / 20))
    return gain.astype(np.float32)


def walk_gain(n_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a gain that follows a random walk.

    Parameters
    ----------
    n_samples : int
        Number of samples.
    sample_rate : int
        Sample rate in Hz.
    rng : Generator
        Generator of the steps.

    Returns
    -------
    ndarray of shape (n_samples,)
        Gain in float32.

    Examples
    --------
    >>> import numpy as np
    >>> gain = walk_gain(16000, 16000, np.random.default_rng(0))
    >>> gain.shape, float(gain[0])
    ((16000,), 1.0)
    """
    interval = GAIN_SECONDS * sample_rate
    n_steps = math.ceil(n_samples / interval)
    level = np.cumsum(GAIN_STEP * rng.standard_normal(n_steps)).clip(
        -GAIN_RANGE, GAIN_RANGE
    )
    knots = interval * np.arange(n_steps + 1)
    gain = np.interp(np.arange(n_samples), knots, 10.0 ** (np.append(0.0, level) / 20))
    return gain.astype(np.float32)


def _check_speeds(name: str, speeds: Any) -> None:
    is_list = isinstance(speeds, Sequence | np.ndarray) and not isinstance(speeds, str)
    if not is_list or len(speeds) == 0:
        raise ValueError(
            f"`{name}` must be a sequence of at least one speed, got {speeds!r}."
        )
    for i, speed in enumerate(speeds):
        check_real(f"{name}[{i}]", speed, low=SLOWEST, high=FASTEST)


def _steps(speeds: Sequence[float]) -> list[int]:
    """Convert speeds to units of 1 / SPEED_STEPS."""
    return [round(SPEED_STEPS * speed) for speed in speeds]


def _reach(n_samples: int, step: int) -> int:
    """Return the number of input samples for `n_samples` at a speed of `step`."""
    return 1 - ((1 - n_samples) * step) // SPEED_STEPS


def _count_blocks(n_samples: int) -> int:
    """Return the number of blocks of a padded segment, for a fast transform."""
    n_blocks = math.ceil(n_samples / SPEED_STEPS) + 2 * PADDING
    return int(scipy_fft.next_fast_len(n_blocks, real=True))


def _spectrum(stretch: np.ndarray, step: int, n_blocks: int) -> np.ndarray:
    """Return the spectrum of a segment that is played at another speed.

    The segment is padded to blocks of `step` samples, and the result has as many blocks
    of SPEED_STEPS samples. The spacing of the bins stays the same: bins are removed, or
    zeros are appended.
    """
    padded = np.zeros(n_blocks * step, dtype=stretch.dtype)
    padded[PADDING * step : PADDING * step + len(stretch)] = stretch
    spectrum = scipy_fft.rfft(padded)
    if step == SPEED_STEPS:
        return spectrum
    resampled = np.zeros(n_blocks * SPEED_STEPS // 2 + 1, dtype=spectrum.dtype)
    # Half the lower sample rate is left out: in one of the two lengths its bin stands
    # for two frequencies, in the other for one.
    n_kept = (n_blocks * min(step, SPEED_STEPS) + 1) // 2
    resampled[:n_kept] = spectrum[:n_kept]
    resampled *= spectrum.real.dtype.type(SPEED_STEPS / step)
    return resampled


def _waveform(spectrum: np.ndarray, n_samples: int) -> np.ndarray:
    """Return the segment whose padded spectrum is given."""
    size = _count_blocks(n_samples) * SPEED_STEPS
    start = PADDING * SPEED_STEPS
    waveform: np.ndarray = scipy_fft.irfft(spectrum, size)[start : start + n_samples]
    return waveform


def _draw_equalizer(
    largest_spread: float, n_bins: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw an equalizer with a random spread below the largest."""
    return equalizer(n_bins, largest_spread * rng.random(), rng)
