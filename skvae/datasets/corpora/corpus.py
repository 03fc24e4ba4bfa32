"""A corpus: what there is to hear, who speaks, in which noise and at which ratio.

Every loader of this package returns one. It holds paths and labels, and no audio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from skvae.utils.waveforms import open_waveform
from skvae.utils.words import counted

#: What stands for a speaker or a noise that nobody has written down.
UNKNOWN = ""


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Corpus:
    """Utterances that read themselves, and what is known of them.

    ``corpus.noisy`` and ``corpus.clean`` are what ``fit``, ``score`` and
    :func:`~skvae.evaluate` take; ``corpus.speakers`` are the groups of a grouped
    cross-validation. ``corpus[selection]`` is a smaller corpus: the selection is a
    slice, a mask, or a list of numbers.

    Parameters
    ----------
    name : str
        What the corpus is called.
    clean : list of waveforms or None
        Clean speech, :class:`AudioFile` as a rule. None where there is none.
    noisy : list of waveforms or None
        The noisy speech that belongs to it. None for a corpus of clean speech.
    utterances : array-like of str, shape (n_utterances,)
        What the utterances are called.
    speakers : array-like of str, shape (n_utterances,), or None
        Who speaks. None, and an empty string, mean that it is not known.
    noises : array-like of str, shape (n_utterances,), or None
        What the noise is, or where it was recorded; empty where it is not known.
    snrs : array-like of float, shape (n_utterances,), or None
        Signal-to-noise ratios in dB; NaN where they are not known.

    Raises
    ------
    ValueError
        If there is neither clean nor noisy speech, or if lengths differ.

    See Also
    --------
    load_folders : A corpus of your own recordings.
    load_pairs : A corpus of your own pairs.
    write_corpus : Writes one to a folder.

    Examples
    --------
    >>> from skvae.datasets import AudioFile
    >>> files = [AudioFile(f"{name}.wav") for name in ("a", "b", "c")]
    >>> corpus = Corpus("ours", files, None, ["a", "b", "c"], ["ann", "ann", "bob"])
    >>> corpus
    Corpus('ours': 3 utterances, 2 speakers)
    >>> corpus[corpus.speakers == "ann"].clean
    [AudioFile('a.wav'), AudioFile('b.wav')]
    """

    name: str
    clean: list[Any] | None
    noisy: list[Any] | None
    utterances: np.ndarray
    speakers: np.ndarray
    noises: np.ndarray
    snrs: np.ndarray

    def __init__(
        self,
        name: str,
        clean: list[Any] | None,
        noisy: list[Any] | None,
        utterances: Sequence[str] | np.ndarray,
        speakers: Sequence[str] | np.ndarray | None = None,
        noises: Sequence[str] | np.ndarray | None = None,
        snrs: Sequence[float] | np.ndarray | None = None,
    ) -> None:
        if clean is None and noisy is None:
            raise ValueError("a corpus needs `clean` or `noisy` speech, got neither.")
        n_utterances = len(utterances)
        members = {
            "clean": clean,
            "noisy": noisy,
            "utterances": np.asarray(utterances, dtype=np.str_),
            "speakers": _column(speakers, UNKNOWN, n_utterances),
            "noises": _column(noises, UNKNOWN, n_utterances),
            "snrs": _column(snrs, math.nan, n_utterances),
        }
        for key, values in members.items():
            if values is not None and len(values) != n_utterances:
                raise ValueError(
                    f"`{key}` must have one entry for each of the {n_utterances} "
                    f"utterances, got {len(values)}."
                )
        # A frozen dataclass is filled past its own lock.
        for key, value in {"name": name, **members}.items():
            object.__setattr__(self, key, value)

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, selection: Any) -> Corpus:
        chosen = np.arange(len(self))[selection]
        if chosen.ndim != 1:
            raise TypeError(
                "a Corpus takes slices, masks and lists of numbers; corpus.noisy[i] "
                "and corpus.clean[i] are single utterances."
            )
        members: dict[str, Any] = {}
        for member in fields(self)[1:]:
            values = getattr(self, member.name)
            if isinstance(values, list):
                members[member.name] = [values[i] for i in chosen]
            elif values is not None:
                members[member.name] = values[chosen]
        return replace(self, **members)

    def __repr__(self) -> str:
        is_pairs = self.clean is not None and self.noisy is not None
        parts = [counted(len(self), "pair" if is_pairs else "utterance")]
        for values, what in ((self.speakers, "speaker"), (self.noises, "noise")):
            known = set(values.tolist()) - {UNKNOWN}
            if known:
                parts.append(counted(len(known), what))
        snrs = self.snrs[np.isfinite(self.snrs)]
        if len(snrs):
            low, high = f"{snrs.min():.4g}", f"{snrs.max():.4g}"
            parts.append(f"{low} dB" if low == high else f"{low} to {high} dB")
        return f"Corpus({self.name!r}: {', '.join(parts)})"

    @property
    def info(self) -> dict[str, np.ndarray]:
        """Columns of a table: what ``evaluate(..., info=corpus.info)`` takes."""
        return {
            "utterance": self.utterances,
            "speaker": self.speakers,
            "noise": self.noises,
            "snr": self.snrs,
        }

    def measure_snrs(self) -> Corpus:
        """Measure the ratios: of clean speech to what differs from it.

        It reads all audio once, an utterance after the other. The clean speech must be
        that in the noisy speech, as loud and at the same time; a recording of the same
        sentence by another microphone gives a number without a meaning.

        Returns
        -------
        Corpus
            The same with new ``snrs``.

        Raises
        ------
        ValueError
            If there is no noisy or no clean speech, or if lengths differ.

        Examples
        --------
        >>> speech = np.sin(np.arange(1000.0))
        >>> noisy = speech + 0.1 * speech[::-1]
        >>> corpus = Corpus("one", [speech], [noisy], ["sine"]).measure_snrs()
        >>> corpus.snrs.round(6)
        array([20.])
        """
        if self.clean is None or self.noisy is None:
            raise ValueError(
                f"{self.name} must have noisy and clean speech for its ratios to be "
                "measured."
            )
        pairs = zip(self.utterances, self.clean, self.noisy, strict=True)
        return replace(self, snrs=np.array([_measure_snr(*pair) for pair in pairs]))


def _column(values: Any, unknown: str | float, n_utterances: int) -> np.ndarray:
    if values is None:
        return np.full(n_utterances, unknown)
    return np.asarray(values, dtype=type(unknown))


def _measure_snr(name: str, clean: Any, noisy: Any) -> float:
    speech = open_waveform(clean, f"the clean speech of {name}").astype(np.float64)
    mixture = open_waveform(noisy, f"the noisy speech of {name}").astype(np.float64)
    if speech.shape != mixture.shape:
        raise ValueError(
            f"clean and noisy speech of {name} must be equally long, got "
            f"{len(speech)} and {len(mixture)} samples."
        )
    speech_energy = float(np.sum(speech**2))
    noise_energy = float(np.sum((mixture - speech) ** 2))
    if noise_energy == 0.0:
        return math.inf if speech_energy > 0.0 else math.nan
    if speech_energy == 0.0:
        return -math.inf
    return 10.0 * math.log10(speech_energy / noise_energy)
