"""Recordings of music, which models of speech remove as noise.

Music has several tones at a time that last for a tenth of a second or longer, as those
of machines, bells and sirens do; but the tones of music change. Voices glide.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Share of the power that is "little" (-11 dB), and the least level of a recording in
#: dB relative to full scale.
_LITTLE, _LEAST_LEVEL = 0.08, -55.0

#: Tones lie between these frequencies in Hz. One is a maximum whose power is so many
#: times that of the bins around it, at these distances.
_LOWEST, _HIGHEST = 80.0, 5000.0
_PROMINENCE, _NEAR, _FAR = 10.0, 3, 10

#: Frames so far below the loudest one count as silence.
_SILENCE = 1e-3

#: Seconds that a tone lasts.
_SECONDS = 0.1

#: Music has at least so many tones at a time, of which at least this share of the power
#: lasts. A tone sounds in at most this share of the frames, on average. Chosen so that
#: 8 of 9 recordings of music in the training noises count as music, and 10 of the other
#: 518: bells, cows and the like, and none of 54 recordings of machines and rooms.
_LEAST_TONES, _LEAST_LASTING, _MOST_STEADY = 6.0, 0.7, 0.6


class MusicWarning(UserWarning):
    """Little is left of a recording that was probably music.

    Examples
    --------
    >>> issubclass(MusicWarning, UserWarning)
    True
    """


class MusicDetector:
    """Finds recordings that were probably music and of which little is left.

    Parameters
    ----------
    n_fft, hop_length : int
        Samples of a frame, and from one frame to the next.
    sample_rate : int
        Sample rate in Hz.

    Examples
    --------
    >>> from skvae import STFT
    >>> t = np.arange(64_000) / 16_000
    >>> tones = np.sin(2 * np.pi * 440 * np.outer([1, 1.5, 2, 3, 4, 5, 6], t)).sum(0)
    >>> others = np.sin(2 * np.pi * 523 * np.outer([1, 1.5, 2, 3, 4, 5, 6], t)).sum(0)
    >>> [X] = STFT().transform([0.02 * np.concatenate([tones, others])])
    >>> V = np.abs(X.frames()) ** 2
    >>> detector = MusicDetector(1024, 256, 16_000)
    >>> detector.observe(V, np.full_like(V, 0.1))
    >>> detector.is_erased, round(detector.change)
    (True, -20)
    """

    def __init__(self, n_fft: int, hop_length: int, sample_rate: int):
        self._scale = n_fft**2 / 2  # power of a sine of full scale, about
        per_bin = n_fft / sample_rate
        first = max(_NEAR, round(_LOWEST * per_bin))
        last = min(n_fft // 2 + 1 - _FAR, round(_HIGHEST * per_bin))
        self._bins = np.arange(first, max(first, last))
        self._n_lasting = max(1, round(_SECONDS * sample_rate / hop_length))
        self._power = self._kept = self._lasting = self._compared = 0.0
        self._n_frames = self._n_observed = 0
        self._counts = np.zeros(len(self._bins))
        self._powers = np.zeros(len(self._bins))

    @classmethod
    def of(cls, stft: Any) -> MusicDetector:
        """Make a detector for the frames of an :class:`STFT`."""
        framing = stft.framing()
        return cls(framing.n_fft, framing.hop_length, stft.sample_rate)

    def observe(self, V: np.ndarray, mask: np.ndarray) -> None:
        """Take in the next frames.

        Parameters
        ----------
        V : ndarray of shape (N, F)
            Power of the input.
        mask : ndarray of shape (N, F)
            Mask of the model.
        """
        power = float(V.sum(dtype=np.float64))
        kept = float(np.vdot(V, np.square(mask)))
        self._power += power
        self._kept += kept
        self._n_observed += len(V)
        # Where more is left, nothing depends on the tones.
        if len(self._bins) and kept <= 1.5 * _LITTLE * power:
            self._count_tones(V)

    def _count_tones(self, V: np.ndarray) -> None:
        levels = V.sum(1)
        V = V[levels > _SILENCE * levels.max()].astype(np.float64)
        if not len(V):
            return
        f = self._bins
        sums = np.pad(np.cumsum(V, axis=1), ((0, 0), (1, 0)))
        lowest = np.maximum(f - _FAR, 0)
        around = sums[:, f - _NEAR + 1] - sums[:, lowest]
        around += sums[:, f + _FAR + 1] - sums[:, f + _NEAR]
        around /= (f - _NEAR + 1 - lowest) + (_FAR - _NEAR + 1)
        X, before, after = V[:, f], V[:, f - 1], V[:, f + 1]
        is_tone = (before <= X) & (after < X) & (around < X / _PROMINENCE)
        powers = np.where(is_tone, before + X + after, 0)
        beside = _widened(is_tone)
        n = self._n_lasting
        if len(V) > n:
            self._lasting += powers[:-n][beside[n:]].sum()
            self._compared += powers[:-n].sum()
        self._n_frames += len(V)
        self._counts += is_tone.sum(0)
        self._powers += powers.sum(0)

    @property
    def message(self) -> str:
        """What to tell about a recording that :attr:`is_erased`."""
        return (
            f"little is left (the level fell by {-self.change:.0f} dB), and the input "
            "sounds like music: is it? Models of speech remove music; a limit of the "
            "attenuation, or a mix with the input, keeps some of it."
        )

    @property
    def change(self) -> float:
        """Level of what is left relative to the input, in dB."""
        if self._power == 0:
            return 0.0
        return 10 * float(np.log10(max(self._kept / self._power, 1e-30)))

    @property
    def is_erased(self) -> bool:
        """Whether the recording was probably music, and little is left of it."""
        loud = 10 ** (_LEAST_LEVEL / 10) * self._scale * self._n_observed
        if self._power < loud or self._kept > _LITTLE * self._power:
            return False
        if self._compared == 0:
            return False
        counts = np.pad(self._counts, 1)
        counts = counts[:-2] + counts[1:-1] + counts[2:]
        steady = np.minimum(1, counts / self._n_frames)
        steadiness = (steady * self._powers).sum() / self._powers.sum()
        return bool(
            self._counts.sum() >= _LEAST_TONES * self._n_frames
            and self._lasting >= _LEAST_LASTING * self._compared
            and steadiness <= _MOST_STEADY
        )


def _widened(is_tone: np.ndarray) -> np.ndarray:
    """Bins that are, or are next to, a tone."""
    padded = np.pad(is_tone, ((0, 0), (1, 1)))
    return padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
