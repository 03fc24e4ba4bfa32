"""Mix speech and noise at given signal-to-noise ratios.

:func:`mix_at_snr` makes one mixture. :class:`Mixer` makes any number of them, each with
another noise and another ratio: the dynamic mixing that supervised enhancers learn by.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, overload

import numpy as np
from sklearn.base import BaseEstimator, clone

from skvae.datasets.audio import AudioFile, find_audio
from skvae.datasets.mixing.augmentation import Augmentation, cut_at_random, energy
from skvae.datasets.mixing.noises import NOISE_KINDS, make_noise
from skvae.signal.spectrogram import reads_itself
from skvae.utils.parameters import check_real
from skvae.utils.random import RandomState, check_generator, draw_seed
from skvae.utils.waveforms import open_waveform

#: Samples over which the end of a short noise fades into its beginning when it is
#: repeated: 20 ms at 16 kHz.
FADE = 320

#: How often another stretch of a long noise is tried when one is silent.
SILENT_TRIES = 10

#: Lowest signal-to-noise ratio, and largest change of level, in dB. Beyond it float32
#: holds no trace of the speech, and overflows before long.
LOWEST_SNR, LARGEST_LEVEL = -300.0, 300.0

#: Rate in Hz of what is made for waveforms that do not tell their own.
DEFAULT_RATE = 16_000


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

    The noise is scaled, the speech is not, so that over the whole utterance

    .. math:: 10 \log_{10} \frac{\sum_t s_t^2}{\sum_t b_t^2} = \text{snr}.

    Parameters
    ----------
    clean : waveform, shape (n_samples,)
        Clean speech: an array, or an :class:`AudioFile`.
    noise : waveform, shape (n_noise,)
        Noise. Where it is longer than the speech, a random stretch is taken, and only
        that much of an :class:`AudioFile` is read. Where it is shorter it is repeated,
        from a random place, its end faded into its beginning.
    snr : float
        Ratio in dB. Infinity means no noise.
    rng : int, Generator, RandomState or None
        Where the random place comes from.
    return_noise : bool, default=False
        Whether to return the scaled noise as well.

    Returns
    -------
    noisy : ndarray of shape (n_samples,)
        The mixture: float32 or float64 as `clean` is, float32 for 16-bit integers. It
        may go beyond full scale; it is not clipped.
    scaled_noise : ndarray of shape (n_samples,)
        The noise in it, only with ``return_noise=True``.

    Raises
    ------
    ValueError
        If a waveform or `snr` is not valid, or if both waveforms have a `sample_rate`
        and the two differ.

    See Also
    --------
    Mixer : Makes many, each with another noise and another ratio.

    Notes
    -----
    Silence has no ratio. To silent speech the noise is added as it is. Silent noise
    adds nothing; where only the stretch is silent, ten others are tried first.

    Examples
    --------
    >>> import numpy as np
    >>> clean = np.sin(np.arange(1000.0))
    >>> hiss = np.random.default_rng(0).standard_normal(5000)
    >>> noisy, noise = mix_at_snr(clean, hiss, 5.0, rng=0, return_noise=True)
    >>> round(float(10 * np.log10(np.sum(clean**2) / np.sum(noise**2))), 6)
    5.0
    """
    _check_snr(snr)
    check_same_rate(clean, noise)
    speech = open_waveform(clean, "the clean speech")
    stretch = _take_noise(noise, len(speech), check_generator(rng))
    scaled = _scale(stretch, speech, snr)
    noisy = speech + scaled
    return (noisy, scaled) if return_noise else noisy


class Mixer(BaseEstimator):
    """Mix clean speech with random noise at random signal-to-noise ratios.

    This is how a supervised enhancer gets from clean speech to pairs. The parameters
    are only looked at when something is mixed.

    Parameters
    ----------
    noise : None, list of waveforms, or path of a folder, default=None
        The noises, all equally likely: waveforms or :class:`AudioFile` objects, or all
        audio in a folder. None makes a new synthetic noise each time, of a random
        kind (:func:`make_noise`).
    snr : float, (float, float), list of float or distribution, default=(-5.0, 10.0)
        Ratio in dB: a number; a tuple (low, high), between which all are equally
        likely; a list, of which one is chosen; or a frozen distribution of scipy.stats.
    level : None or one of the forms of `snr`, default=None
        Gain in dB that the mixture and the clean speech are both given. None leaves
        them as loud as the speech was.
    synthetic : float, default=0.0
        Share of noises that are made (:func:`make_noise`) although there is `noise`.
    augment : bool or Augmentation, default=False
        Whether speech and noise are changed at random, both, before the ratio is set.
        True means :class:`Augmentation` as it is by default. The speech that comes out
        as clean is the changed speech.
    random_state : int, Generator, RandomState or None, default=None
        Where random numbers come from when a method is not given any.

    See Also
    --------
    mix_at_snr : One mixture of a given speech, noise and ratio.
    Augmentation : The random changes.

    Notes
    -----
    A clone shares the noise instead of copying it, and of a file only the part that is
    mixed is read. So neither costs memory. Waveforms are pickled with their samples,
    files as paths.

    Examples
    --------
    >>> import numpy as np
    >>> mixer = Mixer(snr=[0.0, 5.0], random_state=0)
    >>> noisy, clean = mixer.pairs([np.sin(np.arange(800.0)), np.ones(500)])
    >>> [waveform.shape for waveform in noisy]
    [(800,), (500,)]
    """

    def __init__(
        self,
        noise: Sequence[Any] | str | os.PathLike[str] | None = None,
        snr: Any = (-5.0, 10.0),
        level: Any = None,
        *,
        synthetic: float = 0.0,
        augment: bool | Augmentation = False,
        random_state: RandomState = None,
    ) -> None:
        self.noise = noise
        self.snr = snr
        self.level = level
        self.synthetic = synthetic
        self.augment = augment
        self.random_state = random_state

    def speech_length(self, n_samples: int) -> int:
        """Number of samples of speech that a mixture makes use of at most.

        Parameters
        ----------
        n_samples : int
            Length of the mixture.

        Returns
        -------
        int
            More than `n_samples` where speech may be accelerated.

        Examples
        --------
        >>> Mixer().speech_length(32000), Mixer(augment=True).speech_length(32000)
        (32000, 35200)
        """
        augmentation = self._check_augmentation()
        return augmentation.speech_length(n_samples) if augmentation else n_samples

    def mix(
        self, clean: Any, rng: RandomState = None, n_samples: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Make one pair.

        Parameters
        ----------
        clean : waveform, shape (n_speech,)
            Clean speech: an array, or an :class:`AudioFile`.
        rng : int, Generator, RandomState or None
            Where the random numbers come from; None takes `random_state`.
        n_samples : int or None, default=None
            Length of the mixture, at most that of the speech, of which a random part is
            taken. None means all of it; then there is none left by which it could be
            accelerated (:meth:`speech_length`).

        Returns
        -------
        noisy : ndarray of shape (n_samples,)
            The mixture: float32 or float64 as `clean` is, float32 for 16-bit integers.
        clean : ndarray of shape (n_samples,)
            The speech in it. It may be the input itself, or a part of it.

        Raises
        ------
        ValueError
            If a parameter or a waveform is not valid, or if the rates of speech and
            noise differ.

        Examples
        --------
        >>> import numpy as np
        >>> speech = np.sin(np.arange(800.0))
        >>> noisy, clean = Mixer(snr=0.0).mix(speech, rng=0)
        >>> round(float(np.sum(clean**2) / np.sum((noisy - clean) ** 2)), 6)
        1.0
        """
        rng = check_generator(self.random_state if rng is None else rng)
        return self._mix(clean, rng, self._list_noise(), "the clean speech", n_samples)

    def pairs(
        self, clean_list: Sequence[Any], random_state: RandomState = None
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Make a pair of every utterance.

        Parameters
        ----------
        clean_list : list of waveforms
            Clean speech. It keeps its length, so it is not accelerated (:meth:`mix`).
        random_state : int, Generator, RandomState or None
            Where the random numbers come from; None takes the mixer's own. What
            becomes of an utterance depends on the seed and its place in the list, and
            not on the other utterances.

        Returns
        -------
        noisy : list of ndarray of shape (n_samples,)
            The mixtures.
        clean : list of ndarray of shape (n_samples,)
            The speech in them.

        Raises
        ------
        ValueError
            As :meth:`mix`. The message names the utterance.

        Examples
        --------
        >>> import numpy as np
        >>> speech = [np.sin(np.arange(800.0)), np.ones(500)]
        >>> noisy, clean = Mixer(snr=0.0).pairs(speech, random_state=0)
        >>> first, _ = Mixer(snr=0.0).pairs(speech[:1], random_state=0)
        >>> bool((first[0] == noisy[0]).all())
        True
        """
        items: Any = clean_list
        is_numbers = isinstance(items, np.ndarray) and items.dtype != object
        if isinstance(items, AudioFile | str) or (is_numbers and items.ndim < 2):
            raise ValueError(
                "clean_list must be a list of waveforms, got "
                f"{type(clean_list).__name__}: pass a single waveform as a list of one."
            )
        seed = draw_seed(self.random_state if random_state is None else random_state)
        noises = self._list_noise()
        mixtures = [
            self._mix(clean, np.random.default_rng([seed, i]), noises, f"utterance {i}")
            for i, clean in enumerate(clean_list)
        ]
        return [noisy for noisy, _ in mixtures], [clean for _, clean in mixtures]

    def _mix(
        self,
        clean: Any,
        rng: np.random.Generator,
        noises: Sequence[Any] | None,
        name: str,
        n_samples: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        augmentation = self._check_augmentation()
        check_real("synthetic", self.synthetic, low=0, high=1)
        speech = clean if isinstance(clean, AudioFile) else open_waveform(clean, name)
        if n_samples is None:
            n_samples = len(speech)
        else:
            check_real("n_samples", n_samples, low=1, high=len(speech), integer=True)
        needed = augmentation.speech_length(n_samples) if augmentation else n_samples
        needed = min(needed, len(speech))
        speech = open_waveform(cut_at_random(speech, needed, rng), name)
        snr = _draw("snr", self.snr, rng)
        _check_snr(snr)
        level = 0.0 if self.level is None else _draw("level", self.level, rng)
        if not abs(level) <= LARGEST_LEVEL:
            raise ValueError(
                f"level must be between -{LARGEST_LEVEL} and {LARGEST_LEVEL} dB, "
                f"got {level}."
            )

        def take(length: int) -> np.ndarray:
            """Make noise, or take some of one of the noises."""
            is_given = self.synthetic == 0 or rng.random() >= self.synthetic
            if noises is None or not is_given:
                kind = str(rng.choice(NOISE_KINDS))
                return make_noise(length, kind, _tell_rate(clean, noises), rng)
            noise = noises[int(rng.integers(len(noises)))]
            check_same_rate(clean, noise)
            return _take_noise(noise, length, rng)

        if augmentation:
            speech = augmentation.change_speech(speech, n_samples, rng)
            rate = _tell_rate(clean, noises)
            noise = augmentation.change_noise(take, n_samples, rate, rng)
        else:
            noise = take(n_samples)
        noisy = speech + _scale(noise, speech, snr)
        if level != 0.0:
            gain = speech.dtype.type(10.0 ** (level / 20))
            noisy, speech = noisy * gain, speech * gain
        return noisy, speech

    def _check_augmentation(self) -> Augmentation | None:
        """Check `augment`."""
        augment = self.augment
        if not isinstance(augment, bool | np.bool_ | Augmentation):
            raise ValueError(
                f"augment must be True, False or an Augmentation, got {augment!r}."
            )
        if not isinstance(augment, Augmentation):
            return Augmentation() if augment else None
        augment.check()
        return augment

    def _list_noise(self) -> Sequence[Any] | None:
        """Check `noise`, and list it if it is a folder."""
        noise = self.noise
        if noise is None:
            return None
        if isinstance(noise, str | os.PathLike):
            # Listed once: thousands of files would take longer to list than to mix.
            folder = os.fsdecode(noise)
            if getattr(self, "_listing", (None, []))[0] != folder:
                self._listing = (folder, find_audio(folder))
            return self._listing[1]
        is_list = isinstance(noise, list | tuple)
        is_rows = isinstance(noise, np.ndarray) and noise.ndim == 2
        if not is_list and not is_rows:
            raise ValueError(
                "noise must be None, a list of waveforms or the path of a folder, got "
                f"{type(noise).__name__}: a single waveform goes into a list."
            )
        if len(noise) == 0:
            raise ValueError(
                "noise must hold at least one waveform, got an empty list."
            )
        return noise

    def __getstate__(self) -> dict[str, Any]:
        # What was found in a folder belongs neither to a pickle nor to a hash.
        return {k: v for k, v in super().__getstate__().items() if k != "_listing"}

    def __sklearn_clone__(self) -> Mixer:
        params = self.get_params(deep=False)
        shared = {"noise": params.pop("noise")}
        copied = {name: clone(value, safe=False) for name, value in params.items()}
        return type(self)(**shared, **copied)


def check_same_rate(clean: Any, noise: Any) -> None:
    """Check that speech and noise do not have different sample rates.

    Parameters
    ----------
    clean, noise : waveform
        Only those that have a `sample_rate` are compared.

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
            f"{rates[1]} Hz: AudioFile and find_audio resample with sample_rate=."
        )


def _draw(name: str, choice: Any, rng: np.random.Generator) -> float:
    """Draw a number of decibels from one of the forms of `snr` and `level`."""
    if hasattr(choice, "rvs"):
        return float(np.asarray(choice.rvs(random_state=rng)).item())
    values = choice if isinstance(choice, list | tuple) else [choice]
    are_numbers = all(isinstance(v, Real) and not isinstance(v, bool) for v in values)
    is_range = isinstance(choice, tuple)
    wrong = (
        len(values) == 0
        or not are_numbers
        or any(math.isnan(v) for v in values)
        or (is_range and not (len(values) == 2 and np.isfinite(values).all()))
        or (is_range and values[0] > values[1])
    )
    if wrong:
        raise ValueError(
            f"{name} must be a number, a tuple (low, high) with low <= high, a list of "
            f"numbers or a frozen distribution of scipy.stats, got {choice!r}."
        )
    if is_range:
        return float(rng.uniform(values[0], values[1]))
    return float(values[rng.integers(len(values))])


def _check_snr(snr: Any) -> None:
    is_number = isinstance(snr, Real) and not isinstance(snr, bool)
    if not is_number or not snr >= LOWEST_SNR:
        raise ValueError(f"snr must be at least {LOWEST_SNR} dB, got {snr!r}.")


def _scale(noise: np.ndarray, speech: np.ndarray, snr: float) -> np.ndarray:
    """Bring noise to its level below speech, where both have one."""
    noise_power, speech_power = energy(noise), energy(speech)
    gain = 1.0
    if noise_power > 0.0 and speech_power > 0.0:
        gain = math.sqrt(speech_power / noise_power) * 10.0 ** (-float(snr) / 20)
    return (noise.astype(np.float64) * gain).astype(speech.dtype)


def _tell_rate(clean: Any, noises: Sequence[Any] | None) -> int:
    """Rate in Hz of the speech or else of the noises, where they tell it."""
    for waveform in (clean, *(() if noises is None else noises[:1])):
        if (rate := getattr(waveform, "sample_rate", None)) is not None:
            return int(rate)
    return DEFAULT_RATE


def _take_noise(noise: Any, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Cut or repeat the noise to `n_samples`."""
    # What reads itself, an AudioFile for instance, is asked for a part.
    reads_parts = reads_itself(noise) and hasattr(noise, "__getitem__")
    name = repr(noise) if reads_parts else "the noise"
    source = noise if reads_parts else np.asarray(noise)
    if isinstance(source, np.ndarray) and source.ndim != 1:
        source = open_waveform(noise, name)  # which raises, and says why
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
    """Repeat a short noise, from a random place, without a jump at the seams.

    The last samples fade out while the first fade in, and this is the beginning of the
    loop: it goes on from the last sample before the fade. Squared, the two gains add up
    to one, which keeps the power of noise that is not correlated with itself.
    """
    fade = min(FADE, len(noise) // 2)
    angle = np.pi / 2 * np.arange(fade) / max(fade, 1)
    loop = noise[: len(noise) - fade].copy()
    loop[:fade] = noise[:fade] * np.sin(angle) + noise[len(noise) - fade :] * np.cos(
        angle
    )
    start = int(rng.integers(len(loop)))
    return np.resize(np.roll(loop, -start), n_samples)
