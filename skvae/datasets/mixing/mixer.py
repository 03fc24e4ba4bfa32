"""Dynamic mixing: random noise at random SNRs, for training on mixtures."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from skvae.datasets.audio import AudioFile
from skvae.datasets.audio_folder import find_audio
from skvae.datasets.mixing.augmentation import Augmentation, cut_at_random
from skvae.datasets.mixing.channel import Channel
from skvae.datasets.mixing.noises import DEFAULT_KINDS, NOISE_KINDS, make_noise
from skvae.datasets.mixing.rooms import Rooms
from skvae.datasets.mixing.snr import (
    check_same_rate,
    check_snr,
    scale_noise,
    take_noise,
)
from skvae.utils.parameters import check_option, check_real
from skvae.utils.random import RandomState, check_generator, draw_seed
from skvae.utils.waveforms import list_waveforms, open_waveform

#: Maximum change of the level in dB, within the range of float32.
LARGEST_LEVEL = 300.0

#: Sample rate in Hz of synthetic noise if no waveform has a `sample_rate`.
DEFAULT_RATE = 16_000


class Mixer(BaseEstimator):
    """Random mixtures of clean speech and noise.

    A mixer turns clean speech into pairs for training. Parameters are checked when
    something is mixed.

    Parameters
    ----------
    noise : None, list of waveforms, or path of a folder, default=None
        Noises, all equally likely: waveforms, :class:`AudioFile` objects, or all audio
        of a folder. None means new synthetic noise of a random kind for each mixture
        (:func:`make_noise`).
    snr : float, (float, float), list or distribution, default=(-5.0, 10.0)
        SNR in dB: a number; a tuple (low, high) for a uniform distribution; a list of
        equally likely numbers or tuples; or a frozen distribution of scipy.stats.
    level : None or one of the forms of `snr`, default=None
        Gain in dB of both the mixture and the clean speech. None keeps the level of the
        speech.
    synthetic : float, default=0.0
        Fraction of mixtures with synthetic noise (:func:`make_noise`) although `noise`
        is given.
    by_folder : bool, default=False
        Whether the folders of noise files are equally likely, instead of the files. If
        each kind of noise has a folder, kinds with many recordings do not dominate.
        Noises that are not files count as a folder each.
    kinds : sequence of str, default=None
        Kinds of synthetic noise, all equally likely. None means all
        :data:`NOISE_KINDS` but "calls", "sweeps" and "hits".
    noiseless : float, default=0.0
        Fraction of mixtures without noise, from which a network learns to leave clean
        speech alone.
    augment : bool or Augmentation, default=False
        Random changes of speech and noise before they are mixed. True means
        :class:`Augmentation` with its defaults. The clean speech of the pair is the
        changed speech.
    rooms : Rooms, default=None
        Reverberation of the speech. The clean speech of the pair has early reflections
        only. None means that the speech is as recorded.
    channel : Channel, default=None
        Defects of the recording, such as band limits and clipping. None means none.
    random_state : int, Generator, RandomState or None, default=None
        Seed or generator for calls without one.

    See Also
    --------
    mix_at_snr : One mixture of given speech and noise at a given SNR.
    Augmentation : The random changes.
    Rooms : Reverberation.
    Channel : Defects of the recording.

    Notes
    -----
    Training with `n_combinations` above 1 pairs the speech of one mixture with all that
    was added to another, so some late reverberation and clipping meets other speech.

    Clones share the noise instead of copying it, and only the segments in
    use are read from files. Waveforms are pickled with their samples, files as paths.

    Examples
    --------
    >>> import numpy as np
    >>> mixer = Mixer(snr=[0.0, 5.0], random_state=0)
    >>> noisy, clean = mixer.pairs([np.sin(np.arange(800.0)), np.ones(500)])
    >>> [waveform.shape for waveform in noisy]
    [(800,), (500,)]

    One mixture in five at an SNR above 18 dB:

    >>> mixer = Mixer(snr=4 * [(-10.0, 18.0)] + [(18.0, 45.0)], noiseless=0.05)
    """

    def __init__(
        self,
        noise: Sequence[Any] | str | os.PathLike[str] | None = None,
        snr: Any = (-5.0, 10.0),
        level: Any = None,
        *,
        synthetic: float = 0.0,
        by_folder: bool = False,
        kinds: Sequence[str] | None = None,
        noiseless: float = 0.0,
        augment: bool | Augmentation = False,
        rooms: Rooms | None = None,
        channel: Channel | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.noise = noise
        self.snr = snr
        self.level = level
        self.synthetic = synthetic
        self.by_folder = by_folder
        self.kinds = kinds
        self.noiseless = noiseless
        self.augment = augment
        self.rooms = rooms
        self.channel = channel
        self.random_state = random_state

    def speech_length(self, n_samples: int) -> int:
        """Return the maximum number of samples of speech that a mixture uses.

        Parameters
        ----------
        n_samples : int
            Length of the mixture.

        Returns
        -------
        int
            Number of samples. It exceeds `n_samples` if speech may be sped up.

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
        """Mix one pair.

        Parameters
        ----------
        clean : waveform, shape (n_speech,)
            Clean speech: an array or an :class:`AudioFile`.
        rng : int, Generator, RandomState or None
            Seed or generator. None means `random_state`.
        n_samples : int or None, default=None
            Length of the mixture, at most that of the speech, of which a random segment
            is used. None means the whole speech, which can then not be sped up
            (:meth:`speech_length`).

        Returns
        -------
        noisy : ndarray of shape (n_samples,)
            Mixture, in float32 or float64 like `clean`, and in float32 for 16-bit
            integers.
        clean : ndarray of shape (n_samples,)
            Speech in the mixture. It may be the input itself or a view of it. With
            `rooms`, the mixture also has its late reverberation.

        Raises
        ------
        ValueError
            If a parameter or a waveform is not valid, or if the sample rates of speech
            and noise differ.

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
        """Mix one pair for each utterance.

        Parameters
        ----------
        clean_list : list of waveforms
            Clean utterances. They keep their lengths, so they are not sped up
            (:meth:`mix`).
        random_state : int, Generator, RandomState or None
            Seed or generator. None means that of the mixer. A mixture depends on the
            seed and on the position of its utterance in the list, not on the other
            utterances.

        Returns
        -------
        noisy : list of ndarray of shape (n_samples,)
            Mixtures.
        clean : list of ndarray of shape (n_samples,)
            Speech in the mixtures.

        Raises
        ------
        ValueError
            As for :meth:`mix`. The message names the utterance.

        Examples
        --------
        >>> import numpy as np
        >>> speech = [np.sin(np.arange(800.0)), np.ones(500)]
        >>> noisy, clean = Mixer(snr=0.0).pairs(speech, random_state=0)
        >>> first, _ = Mixer(snr=0.0).pairs(speech[:1], random_state=0)
        >>> bool((first[0] == noisy[0]).all())
        True
        """
        speech = list_waveforms(clean_list, "clean_list")
        seed = draw_seed(self.random_state if random_state is None else random_state)
        noises = self._list_noise()
        mixtures = [
            self._mix(clean, np.random.default_rng([seed, i]), noises, f"utterance {i}")
            for i, clean in enumerate(speech)
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
        check_option("by_folder", self.by_folder, (True, False))
        self._check_parts()
        kinds = self._list_kinds()
        for share in ("synthetic", "noiseless"):
            check_real(share, getattr(self, share), low=0, high=1)
        speech = clean if isinstance(clean, AudioFile) else open_waveform(clean, name)
        if n_samples is None:
            n_samples = len(speech)
        else:
            check_real("n_samples", n_samples, low=1, high=len(speech), integer=True)
        needed = augmentation.speech_length(n_samples) if augmentation else n_samples
        needed = min(needed, len(speech))
        speech = open_waveform(cut_at_random(speech, needed, rng), name)
        snr = _draw("snr", self.snr, rng)
        check_snr(snr)
        if self.noiseless > 0 and rng.random() < self.noiseless:
            snr = math.inf
        level = 0.0 if self.level is None else _draw("level", self.level, rng)
        if not abs(level) <= LARGEST_LEVEL:
            raise ValueError(
                f"`level` must be between -{LARGEST_LEVEL} and {LARGEST_LEVEL} dB, "
                f"got {level}."
            )

        def take(length: int) -> np.ndarray:
            """Return synthetic noise or a segment of a random noise."""
            is_given = self.synthetic == 0 or rng.random() >= self.synthetic
            if noises is None or not is_given:
                kind = str(rng.choice(kinds))
                return make_noise(length, kind, _tell_rate(clean, noises), rng)
            noise = _draw_noise(noises, bool(self.by_folder), rng)
            check_same_rate(clean, noise)
            return take_noise(noise, length, rng)

        if augmentation:
            speech = augmentation.change_speech(speech, n_samples, rng)
        rate = _tell_rate(clean, noises)
        if snr == math.inf:
            noisy = speech.copy()
        else:
            if augmentation:
                noise = augmentation.change_noise(take, n_samples, rate, rng)
            else:
                noise = take(n_samples)
            heard = speech
            if self.rooms is not None:
                heard, speech = self.rooms.apply(speech, rate, rng)
            noisy = heard + scale_noise(noise, heard, snr)
        if self.channel is not None:
            noisy, speech = self.channel.apply(noisy, speech, rate, rng)
        if level != 0.0:
            gain = speech.dtype.type(10.0 ** (level / 20))
            noisy, speech = noisy * gain, speech * gain
        return noisy, speech

    def _check_augmentation(self) -> Augmentation | None:
        """Validate `augment` and return the augmentation, if any."""
        augment = self.augment
        if not isinstance(augment, bool | np.bool_ | Augmentation):
            raise ValueError(
                f"`augment` must be True, False or an Augmentation, got {augment!r}."
            )
        if not isinstance(augment, Augmentation):
            return Augmentation() if augment else None
        augment.check()
        return augment

    def _check_parts(self) -> None:
        """Validate `rooms` and `channel`."""
        for name, cls in (("rooms", Rooms), ("channel", Channel)):
            part = getattr(self, name)
            if part is None:
                continue
            if not isinstance(part, cls):
                raise ValueError(
                    f"`{name}` must be None or a {cls.__name__}, got {part!r}."
                )
            part.check()

    def _list_kinds(self) -> Sequence[str]:
        """Validate `kinds` and return the kinds of synthetic noise."""
        kinds = DEFAULT_KINDS if self.kinds is None else self.kinds
        if isinstance(kinds, str) or not isinstance(kinds, Sequence) or not kinds:
            raise ValueError(
                f"`kinds` must be None or a sequence of kinds of noise, got {kinds!r}."
            )
        for k, kind in enumerate(kinds):
            check_option(f"kinds[{k}]", kind, NOISE_KINDS)
        return kinds

    def _list_noise(self) -> Sequence[Any] | None:
        """Validate `noise` and return the noises, if any."""
        noise = self.noise
        if noise is None:
            return None
        if isinstance(noise, str | os.PathLike):
            # Keep the list: listing thousands of files takes longer than mixing.
            folder = os.fsdecode(noise)
            if getattr(self, "_listing", (None, []))[0] != folder:
                self._listing = (folder, find_audio(folder))
            return self._listing[1]
        noises = list_waveforms(noise, "noise", "None, the path of a folder, ")
        if len(noises) == 0:
            raise ValueError(
                "`noise` must hold at least one waveform, got an empty list."
            )
        return noises

    def __getstate__(self) -> dict[str, Any]:
        # The list of files is no part of the state: pickles and hashes leave it out.
        return {k: v for k, v in super().__getstate__().items() if k != "_listing"}

    def __sklearn_clone__(self) -> Mixer:
        params = self.get_params(deep=False)
        shared = {"noise": params.pop("noise")}
        copied = {name: clone(value, safe=False) for name, value in params.items()}
        return type(self)(**shared, **copied)


def _draw_noise(
    noises: Sequence[Any], by_folder: bool, rng: np.random.Generator
) -> Any:
    """Draw one of the noises, all equally likely, or first one of their folders."""
    if by_folder:
        folders: dict[Any, list[Any]] = {}
        for k, noise in enumerate(noises):
            path = getattr(noise, "path", None)
            folder = k if path is None else os.path.dirname(os.fsdecode(path))
            folders.setdefault(folder, []).append(noise)
        noises = list(folders.values())[int(rng.integers(len(folders)))]
    return noises[int(rng.integers(len(noises)))]


def _draw(name: str, choice: Any, rng: np.random.Generator) -> float:
    """Draw a value in dB from one of the forms of `snr` and `level`."""
    if hasattr(choice, "rvs"):
        return float(np.asarray(choice.rvs(random_state=rng)).item())
    if isinstance(choice, list) and any(isinstance(item, tuple) for item in choice):
        drawn = [_draw(name, item, rng) for item in choice]
        return drawn[int(rng.integers(len(drawn)))]
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
            f"`{name}` must be a number, a tuple (low, high) with low <= high, a list "
            f"of these or a frozen distribution of scipy.stats, got {choice!r}."
        )
    if is_range:
        return float(rng.uniform(values[0], values[1]))
    return float(values[rng.integers(len(values))])


def _tell_rate(clean: Any, noises: Sequence[Any] | None) -> int:
    """Return the sample rate of the speech, else of the noises, else the default."""
    for waveform in (clean, *(() if noises is None else noises[:1])):
        if (rate := getattr(waveform, "sample_rate", None)) is not None:
            return int(rate)
    return DEFAULT_RATE
