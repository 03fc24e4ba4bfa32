"""Random changes of speech and noise, so that a model meets more than was recorded.

Both are changed as spectra of the whole cut: taken at another speed, which is another
number of bins for the same number of samples, and equalised, which is a gain for each
bin. That costs two Fourier transforms, whatever is changed, and has no aliases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import fft as scipy_fft
from sklearn.base import BaseEstimator

from skvae.utils.parameters import check_real

#: Speeds are whole multiples of 1 / SPEED_STEPS: lengths before and after are whole.
SPEED_STEPS = 100

#: Slowest and fastest speed: two octaves, beyond which little of a sound is left.
SLOWEST, FASTEST = 0.25, 4.0

#: Blocks of SPEED_STEPS samples of silence on both sides of a cut, into which filters
#: ring that would otherwise reach round to its other end: 19 ms at 16 kHz.
PADDING = 3

#: An equalizer has this many knots over this many octaves below half the sample rate:
#: at 16 kHz from 62.5 Hz. Between them, it follows a grid of some points an octave.
N_KNOTS, N_OCTAVES, GRID_PER_OCTAVE = 7, 7, 16

#: Level of one noise relative to the other in a sum, in dB, at most.
BALANCE = 10.0

#: The random walk of a noise's gain: a step of this standard deviation in dB every so
#: many seconds, up to a largest gain or loss in dB.
GAIN_STEP, GAIN_SECONDS, GAIN_RANGE = 4.0, 0.5, 15.0


class Augmentation(BaseEstimator):
    """Random changes of the speech and the noise of a mixture.

    Supervised enhancers learn noise by heart when there is little of it. This makes
    more of it: other speeds, other colours, sums, and levels that come and go.

    Parameters
    ----------
    speech_speed : sequence of float, default=(0.9, 1.0, 1.1)
        Speeds of speech, all equally likely, in steps of 0.01 from 0.25 to 4. Pitch and
        formants move along, so each is another speaker. A speed above 1 needs more
        speech than comes out (:meth:`speech_length`); where a cut is too short for it,
        one of the other speeds is chosen.
    noise_speed : sequence of float, default=(0.7, 0.85, 1.0, 1.2, 1.4)
        Speeds of noise, likewise; of a longer noise a longer stretch is taken.
    sums : float, default=0.3
        Share of mixtures with two noises, up to 10 dB apart.
    gains : float, default=0.3
        Share of mixtures whose noise has a slowly changing gain: a random walk, by
        some 4 dB every half second and up to 15 dB to each side.
    speech_equalization : float, default=5.0
        Largest spread in dB of the speech's equalizer: a gain at seven frequencies, an
        octave or so apart. Each time the standard deviation is another one, between
        zero and this. The power of speech is kept.
    noise_equalization : float, default=8.0
        The same of the noise's equalizer.

    See Also
    --------
    Mixer : Takes one as its parameter `augment`.

    Notes
    -----
    What is slowed down has nothing above its old highest frequency, which is now lower.
    Before its beginning and after its end a cut is taken to be silent.

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
        speech_equalization: float = 5.0,
        noise_equalization: float = 8.0,
    ) -> None:
        self.speech_speed = speech_speed
        self.noise_speed = noise_speed
        self.sums = sums
        self.gains = gains
        self.speech_equalization = speech_equalization
        self.noise_equalization = noise_equalization

    def check(self) -> None:
        """Raise a ValueError for a parameter that is out of range.

        Examples
        --------
        >>> Augmentation(sums=2).check()
        Traceback (most recent call last):
            ...
        ValueError: `sums` must be a number in [0, 1], got 2.
        """
        for name in ("speech_speed", "noise_speed"):
            _check_speeds(name, getattr(self, name))
        for name in ("sums", "gains"):
            check_real(name, getattr(self, name), low=0, high=1)
        for name in ("speech_equalization", "noise_equalization"):
            check_real(name, getattr(self, name), low=0)

    def speech_length(self, n_samples: int) -> int:
        """Number of samples of speech with which any speed can be chosen.

        Parameters
        ----------
        n_samples : int
            Number of samples that are to come out.

        Returns
        -------
        int
            The number for the highest speed, not below `n_samples`.

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
            At least `n_samples` samples. What the speed does not need of them is cut
            off at random.
        n_samples : int
            Number of samples that come out.
        rng : Generator
            Where the random numbers come from.

        Returns
        -------
        ndarray of shape (n_samples,)
            The changed speech, in its dtype, with the mean power of the part of
            `speech` that it comes from.

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
            Gives a stretch of a noise of the length that it is called with, each time
            another one.
        n_samples : int
            Number of samples that come out.
        sample_rate : int
            Rate in Hz, by which slow changes are slow.
        rng : Generator
            Where the random numbers come from.

        Returns
        -------
        ndarray of shape (n_samples,)
            The noise, about as loud as the first that was taken.

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
    """Sum of squares, in double precision.

    Parameters
    ----------
    waveform : ndarray of shape (n_samples,)
        The waveform.

    Returns
    -------
    float
        The sum.

    Examples
    --------
    >>> import numpy as np
    >>> energy(np.full(4, 1e-30, dtype=np.float32)) > 0
    True
    """
    waveform = waveform.astype(np.float64, copy=False)
    return float(waveform @ waveform)


def cut_at_random(waveform: Any, n_samples: int, rng: np.random.Generator) -> Any:
    """Take a stretch of a waveform from a random place.

    Parameters
    ----------
    waveform : ndarray of shape (n_waveform,) or AudioFile
        At least `n_samples` long.
    n_samples : int
        Length of the stretch.
    rng : Generator
        Where the place comes from. It is left alone where there is no choice.

    Returns
    -------
    ndarray of shape (n_samples,) or AudioFile
        The stretch: a view, no copy.

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

    Its level in dB is normal at seven frequencies and goes straight between them, over
    the logarithm of frequency. Below the lowest it stays.

    Parameters
    ----------
    n_bins : int
        Number of frequencies, evenly spaced from zero to half the sample rate.
    spread : float
        Standard deviation in dB.
    rng : Generator
        Where the random numbers come from.

    Returns
    -------
    ndarray of shape (n_bins,)
        The gain in float32.

    Examples
    --------
    >>> import numpy as np
    >>> gain = equalizer(513, 3.0, np.random.default_rng(0))
    >>> gain.shape, gain.dtype, bool((gain > 0).all())
    ((513,), dtype('float32'), True)
    """
    # So many bins take longer to raise to a power than to interpolate.
    octave = np.linspace(-N_OCTAVES, 0.0, N_OCTAVES * GRID_PER_OCTAVE + 1)
    knots = np.linspace(-N_OCTAVES, 0.0, N_KNOTS)
    level = np.interp(octave, knots, spread * rng.standard_normal(N_KNOTS))
    grid = 2.0**octave * (n_bins - 1)
    gain = np.interp(np.arange(n_bins), grid, 10.0 ** (level / 20))
    return gain.astype(np.float32)


def walk_gain(n_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a gain that walks at random.

    Parameters
    ----------
    n_samples : int
        Length.
    sample_rate : int
        Rate in Hz.
    rng : Generator
        Where the random numbers come from.

    Returns
    -------
    ndarray of shape (n_samples,)
        The gain in float32.

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
    """Speeds in units of 1 / SPEED_STEPS."""
    return [round(SPEED_STEPS * speed) for speed in speeds]


def _reach(n_samples: int, step: int) -> int:
    """How many samples lie under `n_samples` that are `step` / SPEED_STEPS apart."""
    return 1 - ((1 - n_samples) * step) // SPEED_STEPS


def _count_blocks(n_samples: int) -> int:
    """How many blocks hold a cut and its padding, for a fast transform."""
    n_blocks = math.ceil(n_samples / SPEED_STEPS) + 2 * PADDING
    return int(scipy_fft.next_fast_len(n_blocks, real=True))


def _spectrum(stretch: np.ndarray, step: int, n_blocks: int) -> np.ndarray:
    """Spectrum, for blocks of SPEED_STEPS samples, of a stretch in blocks of `step`.

    Either has as many blocks and so the same seconds between its bins, if it is played
    in as many seconds: bins are cut off, or zeros are added.
    """
    padded = np.zeros(n_blocks * step, dtype=stretch.dtype)
    padded[PADDING * step : PADDING * step + len(stretch)] = stretch
    spectrum = scipy_fft.rfft(padded)
    if step == SPEED_STEPS:
        return spectrum
    resampled = np.zeros(n_blocks * SPEED_STEPS // 2 + 1, dtype=spectrum.dtype)
    # Half the lower sample rate is left out: its bin stands for two frequencies, or for
    # one, depending on which of the two lengths it belongs to.
    n_kept = (n_blocks * min(step, SPEED_STEPS) + 1) // 2
    resampled[:n_kept] = spectrum[:n_kept]
    resampled *= spectrum.real.dtype.type(SPEED_STEPS / step)
    return resampled


def _waveform(spectrum: np.ndarray, n_samples: int) -> np.ndarray:
    """The cut that a spectrum of it and its padding holds."""
    size = _count_blocks(n_samples) * SPEED_STEPS
    start = PADDING * SPEED_STEPS
    waveform: np.ndarray = scipy_fft.irfft(spectrum, size)[start : start + n_samples]
    return waveform


def _draw_equalizer(
    largest_spread: float, n_bins: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw an equalizer of a spread below the largest."""
    return equalizer(n_bins, largest_spread * rng.random(), rng)
