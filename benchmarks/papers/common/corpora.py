"""Corpora of the papers: training and test data.

The data folder is the corpus itself. If a script needs several corpora, the data folder
contains one folder for each: chime4, demand, timit, rouen, voicebank.
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

#: Environment of DEMAND that is missing in its archives at 16 kHz.
ONLY_AT_48_KHZ = "SCAFE"

#: Seconds of white noise from which mixtures take parts.
WHITE_SECONDS = 60


class Training(NamedTuple):
    """Training data.

    Attributes
    ----------
    told : str
        Description for the model files.
    clean : list of waveforms
        Clean speech.
    noisy : list of waveforms or None
        Noisy speech for `clean`. None means that `clean` is mixed with `noise`.
    noise : list of waveforms or None
        Recordings of noise. None means synthetic noise.
    """

    told: str
    clean: list[Any]
    noisy: list[Any] | None = None
    noise: list[Any] | None = None

    def first(self, n: int | None) -> Training:
        """Select the first `n` recordings; None means all."""
        return Training(
            self.told,
            self.clean[:n],
            None if self.noisy is None else self.noisy[:n],
            None if self.noise is None else self.noise[:n],
        )


#: Differences in the mixtures of the training data.
MADE_AS_THEY_LEARN = (
    "Training of networks that learn from noise: new mixtures in every epoch instead "
    "of fixed mixtures. A quarter of them contain synthetic noise of seventeen kinds, "
    "including white noise and engines."
)
WRITTEN_ONCE = "Training of networks that learn from noise: mixtures of the corpus."


class Material(NamedTuple):
    """Data of a corpus for a paper.

    Attributes
    ----------
    training : callable
        Function that returns the training data.
    sets : dict of str to Corpus
        Test pairs.
    differences : tuple of str
        Differences to the set-up of the paper.
    """

    training: Callable[[], Training]
    sets: dict[str, Corpus]
    differences: tuple[str, ...] = ()


def find_material(
    corpora: Mapping[str, Callable[[Run], Material]], run: Run
) -> Material:
    """Find the data of a run, or exit with a message about missing data."""

    def found(find: Callable[[], Any]) -> Any:
        try:
            return find()
        except (OSError, ValueError) as error:
            raise SystemExit(f"{run.corpus}: {error}") from error

    material = found(lambda: corpora[run.corpus](run))
    return material._replace(training=lambda: found(material.training))


def subfolder(data: Path, name: str) -> Path:
    """Return the folder of a corpus: a subfolder, or the data folder itself."""
    return data / name if (data / name).is_dir() else data


def open_training(data: Path) -> Training:
    """Find the training speech and noise of the open corpus."""
    return Training(
        "the open corpus's speech/train, mixed with its noise/train",
        find_audio(data / "speech" / "train", sample_rate=SAMPLE_RATE),
        noise=find_audio(data / "noise" / "train", sample_rate=SAMPLE_RATE),
    )


def open_speech(data: Path) -> Corpus:
    """List the test speech of the open corpus."""
    return load_folders(data / "speech" / "test", name="open")


def open_noises(data: Path, split: str) -> dict[str, list[Any]]:
    """List noises of the open corpus; "test_seen" has kinds of the training data."""
    return load_noises(data / "noise" / split)


def open_sets(run: Run, snrs: Sequence[float]) -> dict[str, Corpus]:
    """Mix the test speech of the open corpus with known and with unseen noise."""
    speech = open_speech(run.data)
    splits = {"known": "test_seen", "unseen": "test"}
    return {
        name: mixed(
            speech, open_noises(run.data, split), snrs, run.scale.pairs, run.seed + k
        )
        for k, (name, split) in enumerate(splits.items())
    }


def chime_training(data: Path) -> Training:
    """Find the simulated training pairs of CHiME-3 and CHiME-4."""
    root = subfolder(data, "chime4")
    pairs = load_chime(root, "tr05")
    noise = [audio for kind in load_chime_backgrounds(root).values() for audio in kind]
    return Training("CHiME tr05, simulated", pairs.clean, pairs.noisy, noise)


def voicebank_training(data: Path) -> Training:
    """Find the training pairs of VoiceBank-DEMAND."""
    pairs = load_voicebank_demand(subfolder(data, "voicebank"), "train", log=False)
    return Training("VoiceBank-DEMAND, 28 speakers", pairs.clean, pairs.noisy)


def voicebank_material(run: Run) -> Material:
    """Return the data of VoiceBank-DEMAND."""
    pairs = load_voicebank_demand(subfolder(run.data, "voicebank"), "test")
    told = (
        "Data: the test set of VoiceBank-DEMAND, 2.5 to 17.5 dB. All noise is unseen.",
        WRITTEN_ONCE,
    )
    sets = {"unseen": some(pairs, run.scale.pairs, run.seed)}
    return Material(lambda: voicebank_training(run.data), sets, told)


def timit_training(data: Path) -> Training:
    """Find the training speech of TIMIT; the training noise is synthetic."""
    return Training("TIMIT, TRAIN", load_timit(subfolder(data, "timit"), "train").clean)


def timit_speech(data: Path) -> Corpus:
    """List the test speech of TIMIT, without the sentences of the training data."""
    return load_timit(subfolder(data, "timit"), "test", sentences=("SX", "SI"))


def demand_noises(
    data: Path, environments: Sequence[str] | None = None
) -> dict[str, list[Any]]:
    """List the noises of DEMAND, by default of all environments at 16 kHz."""
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
    """Mix approximately `n_pairs` pairs, with equal numbers per environment."""
    n_each = max(1, round(n_pairs / len(noises)))
    return mix_corpus(speech, noises, snrs, n_each * len(noises), seed)


def some(pairs: Corpus, n_pairs: int, seed: int) -> Corpus:
    """Select approximately `n_pairs` pairs, with equal numbers per noise."""
    rng = np.random.default_rng(seed)
    kinds = sorted(set(pairs.noises.tolist()))
    n_each = max(1, round(n_pairs / len(kinds)))
    chosen: list[int] = []
    for kind in kinds:
        of_kind = np.flatnonzero(pairs.noises == kind)
        chosen += rng.permutation(of_kind)[:n_each].tolist()
    return pairs[sorted(chosen)]


class WhiteNoise:
    """White noise that is synthesized on demand, identical every time."""

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
