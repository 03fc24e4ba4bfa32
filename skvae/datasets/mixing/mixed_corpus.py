"""Reproducible test sets: corpora of mixtures that are computed on demand."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from skvae.datasets.corpora.corpus import Corpus
from skvae.datasets.mixing.pairs import LabeledPair, alternate, write_pairs
from skvae.datasets.mixing.snr import mix_at_snr
from skvae.utils.parameters import check_real
from skvae.utils.random import RandomState, draw_seed


class Mixture:
    """Noisy speech that is mixed on demand.

    A Mixture can be used wherever a waveform can: it has a length, a dtype and
    ``__array__``.

    Parameters
    ----------
    clean : waveform, shape (n_samples,)
        Clean speech. An :class:`AudioFile` is read when the mixture is.
    noise : waveform, shape (n_noise,)
        Noise, of which a random segment is used.
    snr : float
        SNR in dB.
    seed : int or list of int
        Seed of the random segment.

    See Also
    --------
    mix_corpus : Mixtures of a whole corpus.
    mix_at_snr : Function that computes the mixture.

    Examples
    --------
    >>> speech, hiss = np.sin(np.arange(800.0)), np.cos(np.arange(3000.0))
    >>> mixture = Mixture(speech, hiss, 5.0, seed=0)
    >>> len(mixture), np.asarray(mixture).shape
    (800, (800,))
    """

    __slots__ = ("clean", "noise", "seed", "snr")

    def __init__(self, clean: Any, noise: Any, snr: float, seed: int | list[int]):
        self.clean = clean
        self.noise = noise
        self.snr = snr
        self.seed = seed

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the samples."""
        dtype = self.clean.dtype
        return np.dtype(np.float32) if dtype == np.int16 else dtype

    @property
    def sample_rate(self) -> int:
        """Sample rate of the speech in Hz, if it has one."""
        return self.clean.sample_rate

    def __len__(self) -> int:
        return len(self.clean)

    def __getitem__(self, part: slice) -> np.ndarray:
        return np.asarray(self)[part]

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        if copy is False:
            raise ValueError(
                "copy=False is not supported: a Mixture is computed on demand."
            )
        rng = np.random.default_rng(self.seed)
        samples = mix_at_snr(self.clean, self.noise, self.snr, rng)
        return samples if dtype is None else samples.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"Mixture({self.clean!r}, {self.noise!r}, {self.snr:g}, {self.seed})"


def mix_corpus(
    speech: Corpus,
    noises: Mapping[str, Sequence[Any]],
    snrs: Sequence[float],
    n_utterances: int | None = None,
    random_state: RandomState = None,
) -> Corpus:
    """Mix a corpus of clean speech with noise, cycling through environments and SNRs.

    With enough mixtures, every environment is combined with every SNR about equally
    often. Nothing is read at once: mixtures are computed on demand, with the same
    samples in every order, process and run.

    Parameters
    ----------
    speech : Corpus
        Clean speech, from :func:`load_timit` for example.
    noises : mapping of str to sequence of waveforms
        Noises of each environment, of which one is drawn, as :func:`load_demand`,
        :func:`load_rouen` and :func:`load_noises` return them. Their sample rate must
        be that of the speech.
    snrs : sequence of float
        SNRs in dB. If there are as many as mixtures, each is used once.
    n_utterances : int or None, default=None
        Number of mixtures, from utterances in random order. An utterance recurs only
        after all others have been used as often. None means each utterance once, in
        order.
    random_state : int, Generator, RandomState or None
        Seed or generator. A seed gives the same mixtures each time.

    Returns
    -------
    Corpus
        Pairs whose noisy speech consists of :class:`Mixture` objects.

    Raises
    ------
    ValueError
        If there is no clean speech, no noise or no SNR.

    See Also
    --------
    Mixer : New mixtures in each epoch, for training.
    write_corpus : Write the mixtures to files.

    Examples
    --------
    >>> from skvae.datasets import AudioFile
    >>> files = [AudioFile("a.wav"), AudioFile("b.wav")]
    >>> speech = Corpus("ours", files, None, ["a", "b"])
    >>> noises = {"rain": [AudioFile("rain.wav")]}
    >>> mix_corpus(speech, noises, [-5.0, 5.0], random_state=0)
    Corpus('ours': 2 pairs, 1 noise, -5 to 5 dB)
    """
    if speech.clean is None or not len(speech):
        raise ValueError(f"{speech.name} must have clean speech to be mixed.")
    check_real("n_utterances", n_utterances, low=1, integer=True, optional=True)
    empty = [name for name, choice in noises.items() if not len(choice)]
    if not len(noises) or empty:
        raise ValueError(
            "`noises` must hold at least one noise for each environment, got "
            f"{'none for ' + ', '.join(empty) if empty else 'no environment'}."
        )
    ratios = [float(snr) for snr in snrs]
    if not ratios or not np.isfinite(ratios).all():
        raise ValueError(f"`snrs` must be finite numbers in dB, got {snrs!r}.")
    seed = draw_seed(random_state)
    rng = np.random.default_rng(seed)
    order = _draw_order(len(speech), n_utterances, rng)
    turns = _deal_turns(list(noises), ratios, len(order), rng)
    noisy = []
    for k, (i, (environment, snr)) in enumerate(zip(order, turns, strict=True)):
        choice = noises[environment]
        noise = choice[int(rng.integers(len(choice)))]
        noisy.append(Mixture(speech.clean[i], noise, snr, [seed, k]))
    return Corpus(
        speech.name,
        [speech.clean[i] for i in order],
        noisy,
        speech.utterances[order],
        speech.speakers[order],
        [environment for environment, _ in turns],
        [snr for _, snr in turns],
    )


def write_corpus(corpus: Corpus, folder: str | os.PathLike[str]) -> None:
    """Write the pairs of a corpus to files, like ``skvae mix``.

    The folder receives ``clean/``, ``noisy/`` and ``pairs.csv``, which
    :func:`load_pairs` reads. The files have 16 bits. Both files of a pair share one
    gain of at most 1, which prevents clipping.

    Parameters
    ----------
    corpus : Corpus
        Pairs.
    folder : str or path-like
        Folder to write to. An existing folder must be empty.

    Raises
    ------
    OSError
        If the folder is not empty.
    ValueError
        If the corpus has no pairs, or if a waveform has no sample rate.

    See Also
    --------
    load_pairs : Read the folder.
    mix_corpus : Mix a corpus of clean speech with noise.

    Examples
    --------
    >>> import os, tempfile
    >>> import soundfile
    >>> from skvae.datasets import AudioFile, load_pairs
    >>> root = tempfile.mkdtemp()
    >>> path = os.path.join(root, "hum.wav")
    >>> soundfile.write(path, 0.1 * np.sin(np.arange(1600) / 20), 16000)
    >>> speech = Corpus("hum", [AudioFile(path)], None, ["hum"], ["nobody"])
    >>> mixed = mix_corpus(speech, {"hum": [AudioFile(path)]}, [3.0], random_state=0)
    >>> write_corpus(mixed, os.path.join(root, "mixed"))
    >>> load_pairs(os.path.join(root, "mixed"))
    Corpus('mixed': 1 pair, 1 speaker, 1 noise, 3 dB)
    """
    if corpus.clean is None or corpus.noisy is None:
        raise ValueError(f"{corpus.name} must have noisy and clean speech.")
    target = os.fsdecode(folder)
    os.makedirs(target, exist_ok=True)
    if os.listdir(target):
        raise FileExistsError(f"{target!r} is not empty: name another folder.")
    for _ in write_pairs(_open_pairs(corpus), target, len(corpus)):
        pass


def _open_pairs(corpus: Corpus) -> Iterator[LabeledPair]:
    members = zip(
        corpus.clean or (),
        corpus.noisy or (),
        corpus.utterances,
        corpus.speakers,
        corpus.noises,
        corpus.snrs,
        strict=True,
    )
    for clean, noisy, utterance, speaker, environment, snr in members:
        rate = getattr(clean, "sample_rate", getattr(noisy, "sample_rate", None))
        if rate is None:
            raise ValueError(
                f"{utterance} of {corpus.name} must have a sample rate: use an "
                "AudioFile."
            )
        noise = getattr(getattr(noisy, "noise", None), "path", "")
        yield LabeledPair(
            str(speaker),
            str(utterance),
            str(environment),
            os.path.basename(noise),
            float(snr),
            rate,
            np.asarray(clean, dtype=np.float64),
            np.asarray(noisy, dtype=np.float64),
        )


def _deal_turns(
    environments: Sequence[str],
    snrs: Sequence[float],
    n_turns: int,
    rng: np.random.Generator,
) -> list[tuple[str, float]]:
    """Combine environments and SNRs about equally often, in random order."""
    turns = list(itertools.islice(alternate(environments, snrs), n_turns))
    # Shuffle, so that the order of utterances does not determine their environments.
    return [turns[k] for k in rng.permutation(n_turns)]


def _draw_order(
    n_speech: int, n_utterances: int | None, rng: np.random.Generator
) -> np.ndarray:
    if n_utterances is None:
        return np.arange(n_speech)
    n_rounds = -(-n_utterances // n_speech)
    rounds = [rng.permutation(n_speech) for _ in range(n_rounds)]
    return np.concatenate(rounds)[:n_utterances]
