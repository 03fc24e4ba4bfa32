"""Corpus: utterances with their speakers, noises and SNRs.

All loaders of this package return a corpus. It holds paths and labels, and no audio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from skvae.utils.waveforms import open_waveform
from skvae.utils.words import counted

#: Label of an unknown speaker or noise.
UNKNOWN = ""


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Corpus:
    """Utterances that are read on demand, and their labels.

    ``corpus.noisy`` and ``corpus.clean`` are arguments of ``fit``, ``score`` and
    :func:`~skvae.evaluate`; ``corpus.speakers`` are the groups of a grouped
    cross-validation. ``corpus[selection]`` is a smaller corpus. The selection is a
    slice, a mask, or a list of indices.

    Parameters
    ----------
    name : str
        Name of the corpus.
    clean : list of waveforms or None
        Clean speech, usually :class:`AudioFile` objects. None if there is none.
    noisy : list of waveforms or None
        Noisy speech that corresponds to `clean`. None for a corpus of clean speech.
    utterances : array-like of str, shape (n_utterances,)
        Names of the utterances.
    speakers : array-like of str, shape (n_utterances,), or None
        Names of the speakers. None and empty strings mean unknown.
    noises : array-like of str, shape (n_utterances,), or None
        Kinds of noise or recording environments. None and empty strings mean unknown.
    snrs : array-like of float, shape (n_utterances,), or None
        SNRs in dB. None and NaN mean unknown.

    Raises
    ------
    ValueError
        If there is neither clean nor noisy speech, or if lengths differ.

    See Also
    --------
    load_folders : A corpus from folders of your own recordings.
    load_pairs : A corpus from a table of your own pairs.
    write_corpus : Write the pairs to a folder.

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
        # A frozen dataclass blocks plain assignment.
        for key, value in {"name": name, **members}.items():
            object.__setattr__(self, key, value)

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, selection: Any) -> Corpus:
        chosen = np.arange(len(self))[selection]
        if chosen.ndim != 1:
            raise TypeError(
                "a Corpus supports slices, masks and lists of indices only: use "
                "corpus.noisy[i] or corpus.clean[i] for a single utterance."
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
        """Labels as columns, for ``evaluate(..., info=corpus.info)``."""
        return {
            "utterance": self.utterances,
            "speaker": self.speakers,
            "noise": self.noises,
            "snr": self.snrs,
        }

    def measure_snrs(self) -> Corpus:
        """Measure the SNRs from the clean and the noisy speech.

        The noise is the difference of noisy and clean speech. The method reads all
        audio once, one utterance at a time. The clean speech must be contained in the
        noisy speech with the same level and timing. The same sentence from another
        microphone gives meaningless values.

        Returns
        -------
        Corpus
            Copy of the corpus with measured ``snrs``.

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
                f"{self.name} must have noisy and clean speech to measure its SNRs."
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
