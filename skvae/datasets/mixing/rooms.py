"""Rooms: speech with the reverberation of measured or synthetic room responses."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import fft as scipy_fft
from sklearn.base import BaseEstimator, clone

from skvae.datasets.audio_folder import find_audio
from skvae.datasets.mixing.augmentation import energy
from skvae.datasets.mixing.snr import check_same_rate
from skvae.utils.parameters import check_real
from skvae.utils.waveforms import list_waveforms, open_waveform

#: Synthetic rooms: seconds in which reflections are apart, number of these, ratio of
#: the direct sound to all others in dB, and how much faster high frequencies decay.
EARLIEST, N_REFLECTIONS, RATIO, DAMPING = 0.05, 12, (-3.0, 12.0), (1.0, 3.0)

#: Decay in nepers during one reverberation time: 60 dB.
_DECAY = math.log(1e3)


class Rooms(BaseEstimator):
    """Reverberation of the speech of mixtures.

    The clean speech of a pair is the early part of the reverberant speech, which helps
    to understand it. A network learns to remove the late part together with the noise.

    Parameters
    ----------
    responses : None, list of waveforms, or path of a folder, default=None
        Measured responses of rooms, all equally likely: waveforms,
        :class:`AudioFile` objects, or all audio of a folder. None means synthetic
        responses.
    fraction : float, default=0.5
        Fraction of mixtures with reverberation. Mixtures without noise have none.
    synthetic : float, default=0.5
        Fraction of synthetic responses although `responses` are given.
    early : float, default=0.05
        Seconds after the direct sound that belong to the clean speech.
    reverberation_time : (float, float), default=(0.1, 0.7)
        Range in seconds of the reverberation times of synthetic rooms, in which sound
        decays by 60 dB. Their logarithm is uniformly distributed.

    See Also
    --------
    Mixer : Uses rooms for its mixtures.

    Notes
    -----
    The SNR of a mixture is that of the reverberant speech. A response of another sample
    rate than the speech is an error.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae.datasets import Mixer, Rooms, make_speech
    >>> speech = make_speech(16000, random_state=0)
    >>> mixer = Mixer(rooms=Rooms(fraction=1.0), random_state=0)
    >>> noisy, early = mixer.mix(speech)
    >>> bool(np.allclose(early, speech))
    False
    """

    def __init__(
        self,
        responses: Sequence[Any] | str | os.PathLike[str] | None = None,
        *,
        fraction: float = 0.5,
        synthetic: float = 0.5,
        early: float = 0.05,
        reverberation_time: tuple[float, float] = (0.1, 0.7),
    ) -> None:
        self.responses = responses
        self.fraction = fraction
        self.synthetic = synthetic
        self.early = early
        self.reverberation_time = reverberation_time

    def check(self) -> None:
        """Raise a ValueError if a parameter is out of range.

        Examples
        --------
        >>> Rooms(fraction=2).check()
        Traceback (most recent call last):
            ...
        ValueError: `fraction` must be a number in [0, 1], got 2.
        """
        for name in ("fraction", "synthetic"):
            check_real(name, getattr(self, name), low=0, high=1)
        check_real("early", self.early, low=0)
        times = self.reverberation_time
        if not isinstance(times, tuple | list) or len(times) != 2:
            raise ValueError(
                "`reverberation_time` must be a tuple (low, high) in seconds, got "
                f"{times!r}."
            )
        check_real("reverberation_time[0]", times[0], low=0, open_low=True)
        check_real("reverberation_time[1]", times[1], low=times[0], high=10.0)
        if self.responses is not None:
            self._list()

    def apply(
        self, speech: np.ndarray, sample_rate: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Put speech into a random room, or leave it as it is.

        Parameters
        ----------
        speech : ndarray of shape (n_samples,)
            Speech. It counts as silent before its beginning.
        sample_rate : int
            Sample rate in Hz.
        rng : Generator
            Generator of the choices.

        Returns
        -------
        reverberant : ndarray of shape (n_samples,)
            Speech with all reflections, in the dtype of `speech`.
        early : ndarray of shape (n_samples,)
            Speech with early reflections only. Both have one gain, at which this one
            has the energy of `speech`. Without reverberation, both are the input.

        Examples
        --------
        >>> import numpy as np
        >>> speech = np.eye(1, 8000, 100)[0]
        >>> rooms = Rooms(fraction=1.0, early=0.0)
        >>> reverberant, early = rooms.apply(speech, 8000, np.random.default_rng(0))
        >>> int((early > 1e-9).sum()), int((abs(reverberant) > 1e-9).sum()) > 100
        (1, True)
        """
        if rng.random() >= self.fraction:
            return speech, speech
        response = self._draw(sample_rate, rng)
        direct = int(np.abs(response).argmax())
        n_early = direct + 1 + round(self.early * sample_rate)
        parts = np.stack([response, response])
        parts[1, n_early:] = 0.0
        size = scipy_fft.next_fast_len(len(speech) + len(response) - 1, real=True)
        spectrum = scipy_fft.rfft(speech, size)
        spectra = scipy_fft.rfft(parts.astype(speech.dtype), size, axis=1) * spectrum
        # Without the delay of the direct sound.
        filtered = scipy_fft.irfft(spectra, size, axis=1)[:, direct:]
        filtered = filtered[:, : len(speech)]
        if filtered.shape[1] < len(speech):
            filtered = np.pad(filtered, ((0, 0), (0, len(speech) - filtered.shape[1])))
        before, after = energy(speech), energy(filtered[1])
        gain = math.sqrt(before / after) if after > 0.0 else 1.0
        filtered = (filtered * gain).astype(speech.dtype)
        return filtered[0], filtered[1]

    def _draw(self, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
        if self.responses is not None and rng.random() >= self.synthetic:
            responses = self._list()
            response = responses[int(rng.integers(len(responses)))]
            check_same_rate(_Rate(sample_rate), response)
            opened = open_waveform(response, "the response of a room")
            return opened.astype(np.float64)
        low, high = (math.log(time) for time in self.reverberation_time)
        return room_response(math.exp(rng.uniform(low, high)), sample_rate, rng)

    def _list(self) -> Sequence[Any]:
        responses = self.responses
        if isinstance(responses, str | os.PathLike):
            folder = os.fsdecode(responses)
            if getattr(self, "_listing", (None, []))[0] != folder:
                self._listing = (folder, _in_memory(find_audio(folder)))
            return self._listing[1]
        found = list_waveforms(responses, "responses", "None, the path of a folder, ")
        if len(found) == 0:
            raise ValueError(
                "`responses` must hold at least one waveform, got an empty list."
            )
        return found

    def __getstate__(self) -> dict[str, Any]:
        # What was read is no part of the state: pickles and hashes leave it out.
        return {k: v for k, v in super().__getstate__().items() if k != "_listing"}

    def __sklearn_clone__(self) -> Rooms:
        params = self.get_params(deep=False)
        shared = {"responses": params.pop("responses")}
        copied = {name: clone(value, safe=False) for name, value in params.items()}
        return type(self)(**shared, **copied)


class _Rate:
    """What :func:`check_same_rate` compares."""

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate


class _Recorded(np.ndarray):
    """Samples with their rate."""

    sample_rate: int


def _in_memory(files: Sequence[Any]) -> list[np.ndarray]:
    """Samples of files, which are short and read often."""
    read: list[np.ndarray] = []
    for file in files:
        samples = np.array(file).view(_Recorded)
        samples.sample_rate = file.sample_rate
        read.append(samples)
    return read


def room_response(
    reverberation_time: float, sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw the response of a synthetic room.

    It consists of the direct sound, of a few reflections that are apart, and of noise
    that decays exponentially, faster at high frequencies.

    Parameters
    ----------
    reverberation_time : float
        Seconds in which the energy decays by 60 dB.
    sample_rate : int
        Sample rate in Hz.
    rng : Generator
        Generator of the response.

    Returns
    -------
    ndarray of shape (n_samples,)
        Response, whose first sample is the direct sound, of height one.

    Examples
    --------
    >>> import numpy as np
    >>> response = room_response(0.3, 16000, np.random.default_rng(0))
    >>> len(response), float(response[0])
    (4801, 1.0)
    """
    n_samples = 1 + round(reverberation_time * sample_rate)
    time = np.arange(1, n_samples) / sample_rate
    decay = np.exp(-_DECAY / reverberation_time * time)
    n_echoes = rng.poisson(N_REFLECTIONS)
    late = rng.standard_normal(len(time)) * np.minimum(time / EARLIEST, 1.0)
    echoes = np.zeros(len(time))
    within = min(EARLIEST, reverberation_time) * sample_rate
    if len(echoes):
        where = (rng.random(n_echoes) * within).astype(np.int64)
        np.add.at(
            echoes, where.clip(max=len(echoes) - 1), rng.choice([-1.0, 1.0], n_echoes)
        )
    # High frequencies decay faster: the noise turns into its mean with its neighbor.
    bright = np.exp(-_DECAY * (rng.uniform(*DAMPING) - 1) / reverberation_time * time)
    dull = late.copy()
    dull[1:] = 0.5 * (late[1:] + late[:-1])
    tail = bright * late + (1 - bright) * dull + echoes
    tail *= decay
    total = energy(tail)
    if total > 0.0:
        tail *= math.sqrt(10 ** (-rng.uniform(*RATIO) / 10) / total)
    return np.concatenate([[1.0], tail])
