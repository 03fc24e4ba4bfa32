"""Folders of pairs: noisy speech, clean speech, and a table of their mixtures.

Such a folder contains ``clean/`` and ``noisy/`` with files of the same names, and
``pairs.csv`` with one row per pair. Comparisons that use one such folder use the same
mixtures.
"""

from __future__ import annotations

import csv
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from skvae.datasets.audio import AudioFile, write_wav
from skvae.datasets.audio_folder import folder_name
from skvae.datasets.mixing.augmentation import Augmentation
from skvae.datasets.mixing.mixer import Mixer
from skvae.datasets.mixing.noises import DEFAULT_KINDS, make_noise
from skvae.utils.parameters import check_real

#: Maximum sample of a written pair. Both files share one gain.
PEAK = 0.98

#: Table of a folder of pairs, and its columns.
TABLE = "pairs.csv"
COLUMNS = (
    "pair",
    "speaker",
    "utterances",
    "environment",
    "noise_file",
    "snr_db",
    "seconds",
)

#: Names of the two folders.
SIDES = ("clean", "noisy")

#: Environment of synthetic noise, whose kind is listed as its file.
SYNTHETIC = "synthetic"

#: Factor for the length of synthetic noise that augmentation may speed up.
_AUGMENTED_LENGTH = 2


class LabeledPair(NamedTuple):
    """Mixture with its speech and its labels.

    Attributes
    ----------
    speaker : str
        Name of the speaker.
    utterance : str
        File name of the speech.
    environment : str
        Environment in which the noise was recorded.
    noise : str
        File name of the noise.
    snr : float
        SNR in dB.
    sample_rate : int
        Sample rate in Hz.
    clean : ndarray of float64, shape (n_samples,)
        Speech.
    noisy : ndarray of float64, shape (n_samples,)
        Mixture. It may exceed full scale.
    """

    speaker: str
    utterance: str
    environment: str
    noise: str
    snr: float
    sample_rate: int
    clean: np.ndarray
    noisy: np.ndarray


def mix_pairs(
    speech: Sequence[AudioFile],
    noises: Mapping[str, Sequence[AudioFile]],
    snrs: Sequence[float],
    rng: np.random.Generator,
    *,
    synthetic: float = 0.0,
    augment: bool | Augmentation = False,
) -> Iterator[LabeledPair]:
    """Mix each utterance with a noise, cycling through environments and SNRs.

    With enough pairs, every environment is combined with every SNR about equally often.
    The same holds for synthetic noise.

    Parameters
    ----------
    speech : sequence of AudioFile
        Clean utterances in the order of the pairs. They may occur repeatedly.
    noises : mapping of str to sequence of AudioFile
        Noises of each environment, of which one is drawn. The mapping may be empty only
        if `synthetic` is 1.
    snrs : sequence of float
        SNRs in dB.
    rng : Generator
        Generator of all random choices.
    synthetic : float, default=0.0
        Fraction of pairs with synthetic noise.
    augment : bool or Augmentation, default=False
        Random changes of speech and noise, as in :class:`Mixer`. The speech keeps its
        length. Two noises that are summed come from one recording.

    Yields
    ------
    LabeledPair
        Pair at the sample rate of the speech, to which the noise is resampled.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, soundfile
    >>> from skvae.datasets import make_speech
    >>> path = os.path.join(tempfile.mkdtemp(), "a.wav")
    >>> soundfile.write(path, make_speech(16000, random_state=0), 16000)
    >>> rng = np.random.default_rng(0)
    >>> pairs = mix_pairs(2 * [AudioFile(path)], {}, [0.0, 5.0], rng, synthetic=1)
    >>> [(pair.environment, pair.snr, pair.noisy.shape) for pair in pairs]
    [('synthetic', 0.0, (16000,)), ('synthetic', 5.0, (16000,))]
    """
    check_real("synthetic", synthetic, low=0, high=1)
    if not noises and synthetic < 1:
        raise ValueError("`noises` must not be empty unless `synthetic` is 1.")
    n_made = round(synthetic * len(speech)) if noises else len(speech)
    made = set(rng.permutation(len(speech))[:n_made].tolist()) if n_made else set()
    of_recordings = alternate(list(noises), snrs)
    of_made = alternate([SYNTHETIC], snrs)
    for k, audio in enumerate(speech):
        clean: Any = np.asarray(audio, dtype=np.float64)
        environment, snr = next(of_made if k in made else of_recordings)
        noise: AudioFile | _MadeNoise
        if k in made:
            noise_name = str(rng.choice(DEFAULT_KINDS))
            n_samples = max(1, len(clean)) * (_AUGMENTED_LENGTH if augment else 1)
            noise = _MadeNoise(
                make_noise(n_samples, noise_name, audio.sample_rate, rng),
                audio.sample_rate,
            )
        else:
            choice = noises[environment]
            path = choice[int(rng.integers(len(choice)))].path
            noise_name = os.path.basename(path)
            noise = AudioFile(path, sample_rate=audio.sample_rate)
        mixer = Mixer([noise], snr=float(snr), augment=augment)
        try:
            noisy, clean = mixer.mix(clean, rng)
        except ValueError as error:
            raise ValueError(
                f"{audio.path} and the noise {noise_name} cannot be mixed: {error}"
            ) from error
        yield LabeledPair(
            folder_name(audio),
            os.path.basename(audio.path),
            environment,
            noise_name,
            snr,
            audio.sample_rate,
            clean,
            noisy,
        )


def alternate(
    environments: Sequence[str], snrs: Sequence[float]
) -> Iterator[tuple[str, float]]:
    """Yield environments and SNRs endlessly, all combinations equally often."""
    # After a cycle the same combinations would recur, so shift the SNRs by one.
    cycle = math.lcm(len(environments), len(snrs))
    for k in itertools.count():
        yield environments[k % len(environments)], snrs[(k + k // cycle) % len(snrs)]


def write_pairs(
    pairs: Iterable[LabeledPair], folder: str | os.PathLike[str], n_pairs: int
) -> Iterator[tuple]:
    """Write pairs to 16-bit files as they arrive, and finally the table.

    Both files of a pair share one gain of at most 1, which prevents clipping.

    Parameters
    ----------
    pairs : iterable of LabeledPair
        Pairs.
    folder : str or path-like
        Existing folder to write to.
    n_pairs : int
        Number of pairs, which sets the number of digits in file names.

    Yields
    ------
    tuple
        Row of the table, with the columns :data:`COLUMNS`.

    Examples
    --------
    >>> import os, tempfile
    >>> folder, sound = tempfile.mkdtemp(), np.full(800, 2.0)
    >>> pair = LabeledPair(
    ...     "ann", "1.wav", "street", "car.wav", 0, 8000, sound / 2, sound
    ... )
    >>> list(write_pairs([pair], folder, 1))
    [('pair_000', 'ann', '1.wav', 'street', 'car.wav', '0', '0.100')]
    >>> sorted(os.listdir(folder))
    ['clean', 'noisy', 'pairs.csv']
    """
    for side in SIDES:
        os.makedirs(os.path.join(folder, side), exist_ok=True)
    n_digits = max(3, len(str(n_pairs - 1)))
    rows = []
    for k, pair in enumerate(pairs):
        name = f"pair_{k:0{n_digits}d}"
        peak = max(float(np.abs(x).max(initial=0)) for x in (pair.clean, pair.noisy))
        gain = min(1.0, PEAK / peak) if peak > 0 else 1.0
        for side, waveform in zip(SIDES, (pair.clean, pair.noisy), strict=True):
            path = os.path.join(folder, side, f"{name}.wav")
            write_wav(path, gain * waveform, pair.sample_rate)
        row = (
            name,
            pair.speaker,
            pair.utterance,
            pair.environment,
            pair.noise,
            f"{pair.snr:g}",
            f"{len(pair.clean) / pair.sample_rate:.3f}",
        )
        rows.append(row)
        yield row
    with open(os.path.join(folder, TABLE), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def take_turns(
    recordings: Sequence[AudioFile], rng: np.random.Generator
) -> list[AudioFile]:
    """Order recordings so that the first ones come from many speakers.

    Parameters
    ----------
    recordings : sequence of AudioFile
        Recordings, with one folder per speaker.
    rng : Generator
        Generator of the order.

    Returns
    -------
    list of AudioFile
        One recording of each speaker, then a second one of each, and so on.

    Examples
    --------
    >>> names = ["ann/1.wav", "ann/2.wav", "bob/1.wav"]
    >>> order = take_turns([AudioFile(n) for n in names], np.random.default_rng(0))
    >>> sorted(folder_name(audio) for audio in order[:2])
    ['ann', 'bob']
    """
    order = [recordings[i] for i in rng.permutation(len(recordings))]
    rounds: dict[str, int] = {}
    turns = []
    for audio in order:
        speaker = folder_name(audio)
        rounds[speaker] = rounds.get(speaker, 0) + 1
        turns.append(rounds[speaker])
    return [order[i] for i in np.argsort(turns, kind="stable")]


class _MadeNoise:
    """Samples with a sample rate, which sets the speed of changing gains."""

    def __init__(self, samples: np.ndarray, sample_rate: int):
        self.samples, self.sample_rate = samples, sample_rate
        self.dtype = samples.dtype

    def __len__(self) -> int:
        return len(self.samples)

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        return self.samples if dtype is None else self.samples.astype(dtype)
