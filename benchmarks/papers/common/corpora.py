"""Corpora as the papers use them: what is trained on, and what is tested on.

A folder of data holds the corpus itself or, where a script takes several, folders that
are called after them: chime4, demand, timit, rouen, voicebank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.run import Run
from skvae.datasets import (
    DEMAND_ENVIRONMENTS,
    Corpus,
    find_audio,
    load_chime,
    load_chime_backgrounds,
    load_demand,
    load_folders,
    load_noises,
    load_timit,
    load_voicebank_demand,
    make_noise,
    mix_corpus,
)

SAMPLE_RATE = 16_000

#: The environment of DEMAND that its archives at 16 kHz do not have.
ONLY_AT_48_KHZ = "SCAFE"

#: Seconds of white noise that stretches are taken from.
WHITE_SECONDS = 60


class Training(NamedTuple):
    """What models are trained on.

    Attributes
    ----------
    told : str
        What it is, for the model files.
    clean : list of waveforms
        Clean speech.
    noisy : list of waveforms or None
        The noisy speech that belongs to it. None where it is mixed with `noise`.
    noise : list of waveforms or None
        Recordings of noise; None means noise that is made.
    """

    told: str
    clean: list[Any]
    noisy: list[Any] | None = None
    noise: list[Any] | None = None

    def first(self, n: int | None) -> Training:
        """Take some of it."""
        return Training(
            self.told,
            self.clean[:n],
            None if self.noisy is None else self.noisy[:n],
            None if self.noise is None else self.noise[:n],
        )


#: Where networks see their mixtures, as they learn or before.
MADE_AS_THEY_LEARN = (
    "Networks that learn from noise learn from mixtures that are made as they learn, a "
    "quarter of them with made noise (seventeen kinds, white noise and engines among "
    "them), instead of from ones that were written once."
)
WRITTEN_ONCE = "Networks that learn from noise learn from the corpus's own mixtures."


class Material(NamedTuple):
    """What a corpus gives a paper.

    Attributes
    ----------
    training : callable
        Finds what models are trained on.
    sets : dict of str to Corpus
        Pairs to test on.
    differences : tuple of str
        How the set-up differs from the paper's.
    """

    training: Callable[[], Training]
    sets: dict[str, Corpus]
    differences: tuple[str, ...] = ()


def find_material(
    corpora: Mapping[str, Callable[[Run], Material]], run: Run
) -> Material:
    """Find what the corpus of a run gives, or end with what is missing."""

    def found(find: Callable[[], Any]) -> Any:
        try:
            return find()
        except (OSError, ValueError) as error:
            raise SystemExit(f"{run.corpus}: {error}") from error

    material = found(lambda: corpora[run.corpus](run))
    return material._replace(training=lambda: found(material.training))


def subfolder(data: Path, name: str) -> Path:
    """Folder of one of several corpora, or the only one itself."""
    return data / name if (data / name).is_dir() else data


def open_training(data: Path) -> Training:
    """Find the open corpus's speech and noise to train on."""
    return Training(
        "the open corpus's speech/train, mixed with its noise/train",
        find_audio(data / "speech" / "train", sample_rate=SAMPLE_RATE),
        noise=find_audio(data / "noise" / "train", sample_rate=SAMPLE_RATE),
    )


def open_speech(data: Path) -> Corpus:
    """List the open corpus's speech to test on."""
    return load_folders(data / "speech" / "test", name="open")


def open_noises(data: Path, split: str) -> dict[str, list[Any]]:
    """List the open corpus's noises: "test_seen" has kinds that are trained on."""
    return load_noises(data / "noise" / split)


def open_sets(run: Run, snrs: Sequence[float]) -> dict[str, Corpus]:
    """Mix the open corpus's speech with known and with unseen kinds of noise."""
    speech = open_speech(run.data)
    splits = {"known": "test_seen", "unseen": "test"}
    return {
        name: mixed(
            speech, open_noises(run.data, split), snrs, run.scale.pairs, run.seed + k
        )
        for k, (name, split) in enumerate(splits.items())
    }


def chime_training(data: Path) -> Training:
    """Find the simulated training data of CHiME-3 and 4, as pairs."""
    root = subfolder(data, "chime4")
    pairs = load_chime(root, "tr05")
    noise = [audio for kind in load_chime_backgrounds(root).values() for audio in kind]
    return Training("CHiME tr05, simulated", pairs.clean, pairs.noisy, noise)


def voicebank_training(data: Path) -> Training:
    """Find the training pairs of VoiceBank-DEMAND."""
    pairs = load_voicebank_demand(subfolder(data, "voicebank"), "train", log=False)
    return Training("VoiceBank-DEMAND, 28 speakers", pairs.clean, pairs.noisy)


def voicebank_material(run: Run) -> Material:
    """Test on VoiceBank-DEMAND as it is."""
    pairs = load_voicebank_demand(subfolder(run.data, "voicebank"), "test")
    told = (
        "VoiceBank-DEMAND's test set, at 2.5 to 17.5 dB; nothing in it is known noise.",
        WRITTEN_ONCE,
    )
    sets = {"unseen": some(pairs, run.scale.pairs, run.seed)}
    return Material(lambda: voicebank_training(run.data), sets, told)


def timit_training(data: Path) -> Training:
    """Find TIMIT's speech to train on; what learns from noise has made ones."""
    return Training("TIMIT, TRAIN", load_timit(subfolder(data, "timit"), "train").clean)


def timit_speech(data: Path) -> Corpus:
    """List TIMIT's speech to test on, without the sentences that are trained on."""
    return load_timit(subfolder(data, "timit"), "test", sentences=("SX", "SI"))


def demand_noises(
    data: Path, environments: Sequence[str] | None = None
) -> dict[str, list[Any]]:
    """List DEMAND's noises, of some environments or of all that are in its archives."""
    if environments is None:
        environments = [name for name in DEMAND_ENVIRONMENTS if name != ONLY_AT_48_KHZ]
    return load_demand(subfolder(data, "demand"), environments)


def mixed(
    speech: Corpus,
    noises: Mapping[str, Sequence[Any]],
    snrs: Sequence[float],
    n_pairs: int,
    seed: int,
) -> Corpus:
    """Mix about so many pairs, as many of each environment."""
    n_each = max(1, round(n_pairs / len(noises)))
    return mix_corpus(speech, noises, snrs, n_each * len(noises), seed)


def some(pairs: Corpus, n_pairs: int, seed: int) -> Corpus:
    """Take about so many of the pairs that there are, as many of each noise."""
    rng = np.random.default_rng(seed)
    kinds = sorted(set(pairs.noises.tolist()))
    n_each = max(1, round(n_pairs / len(kinds)))
    chosen: list[int] = []
    for kind in kinds:
        of_kind = np.flatnonzero(pairs.noises == kind)
        chosen += rng.permutation(of_kind)[:n_each].tolist()
    return pairs[sorted(chosen)]


class WhiteNoise:
    """White noise that is made when it is read, the same each time."""

    dtype = np.dtype(np.float64)
    sample_rate = SAMPLE_RATE

    def __init__(self, seed: int, seconds: int = WHITE_SECONDS):
        self.seed = seed
        self._n_samples = seconds * SAMPLE_RATE

    def __len__(self) -> int:
        return self._n_samples

    def __getitem__(self, part: slice) -> np.ndarray:
        return np.asarray(self)[part]

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        samples = make_noise(len(self), "white", SAMPLE_RATE, self.seed)
        return samples if dtype is None else samples.astype(dtype)
