"""Batches of clean speech, in bounded memory.

An epoch reads the utterances in random order, scales each to a level, and collects
their frames in a pool of about 16 000 frames. A full pool is shuffled and yielded in
batches.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from skvae.signal.framing import power

#: Maximum number of frames of a recording that are transformed at once.
BLOCK_FRAMES = 4096
#: Number of frames that are shuffled together: about 40 utterances, 34 MB at 513 bins.
POOL_FRAMES = 16384


class Frames(Protocol):
    """The part of :class:`~skvae.Spectrogram` that this module needs."""

    @property
    def n_frames(self) -> int:
        """Number of frames."""

    def frames(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """Return frames, complex, of shape (last - first, F)."""


class Batch(NamedTuple):
    """Power of clean speech.

    Attributes
    ----------
    power : Tensor of shape (N, F) or (B, N, F)
        Frames, or padded sequences of frames.
    lengths : Tensor of shape (B,), or None
        Number of frames of each sequence.
    """

    power: Tensor
    lengths: Tensor | None = None

    @property
    def n_rows(self) -> int:
        """Number of frames, or of sequences."""
        return len(self.power)

    def part(self, rows: slice) -> Batch:
        """Return some of the rows, with their padding."""
        lengths = None if self.lengths is None else self.lengths[rows]
        return Batch(self.power[rows], lengths)

    def to(self, device: str | torch.device) -> Batch:
        """Return the batch on a device; lengths stay on the CPU for packing."""
        return Batch(self.power.to(device), self.lengths)


class Utterance:
    """Power of one utterance, scaled to a level.

    Parameters
    ----------
    spectrogram : Spectrogram
        Spectrogram of the utterance, read when its power is needed.

    Examples
    --------
    >>> from skvae import STFT
    >>> import numpy as np
    >>> [spectrogram] = STFT(n_fft=8).fit_transform([np.arange(40.0)])
    >>> utterance = Utterance(spectrogram)
    >>> [block] = utterance.blocks(level=5.0)
    >>> block.shape, block.dtype, round(float(block.mean()), 3)
    ((21, 5), dtype('float32'), 5.0)
    """

    def __init__(self, spectrogram: Frames):
        self.spectrogram = spectrogram
        self.n_frames = spectrogram.n_frames
        # Amplitude that divides the frames before squaring, and their mean power then.
        self._unit = 1.0
        self._mean: float | None = None

    def blocks(self, level: float) -> Iterator[np.ndarray]:
        """Yield the power of the utterance, scaled to a level.

        Parameters
        ----------
        level : float
            Mean power over frames and bins after scaling. Silence stays zero.

        Yields
        ------
        ndarray of float32, shape (at most BLOCK_FRAMES, F)
            The blocks in order.
        """
        for V, scale in self.scaled_blocks(level):
            yield (V * V.dtype.type(scale)).astype(np.float32, copy=False)

    def scaled_blocks(self, level: float) -> Iterator[tuple[np.ndarray, float]]:
        """Yield blocks of power without scaling, and their scale.

        Parameters
        ----------
        level : float
            As for :meth:`blocks`.

        Yields
        ------
        V : ndarray of shape (at most BLOCK_FRAMES, F)
            In the precision of the recording.
        scale : float
            The same for all blocks.
        """
        starts = range(0, self.n_frames, BLOCK_FRAMES)
        whole = self._power(0) if self.n_frames <= BLOCK_FRAMES else None
        if self._mean is None and not self._measure(whole):
            # Too loud or too quiet for squares in this precision: measure again.
            self._unit = max(_peak(self._frames(start)) for start in starts) or 1.0
            whole = self._power(0) if whole is not None else None
            self._measure(whole)
        scale = level / self._mean if self._mean else 0.0
        for start in starts:
            yield (self._power(start) if whole is None else whole), scale

    def _measure(self, whole: np.ndarray | None) -> bool:
        """Measure the mean power; return False if squares over- or underflow."""
        if whole is not None:
            self._mean = float(whole.mean(dtype=np.float64))
            n_bins, dtype = whole.shape[1], whole.dtype
        else:
            total, n_bins = 0.0, 1
            for start in range(0, self.n_frames, BLOCK_FRAMES):
                V = self._power(start)
                total += float(V.sum(dtype=np.float64))
                n_bins, dtype = V.shape[1], V.dtype
            self._mean = total / (self.n_frames * n_bins)
        # Quiet bins are far below the mean; half of the exponents remain for them.
        tiny = float(np.finfo(dtype).tiny) ** 0.5
        return self._unit != 1.0 or tiny < self._mean < 1 / tiny

    def _frames(self, start: int) -> np.ndarray:
        stop = min(start + BLOCK_FRAMES, self.n_frames)
        return self.spectrogram.frames(start, stop)

    def _power(self, start: int) -> np.ndarray:
        X = self._frames(start)
        if self._unit != 1.0:
            X = X / X.real.dtype.type(self._unit)
        with np.errstate(over="ignore"):
            return power(X)


def shuffled_frames(
    utterances: Sequence[Utterance],
    level: tuple[float, float],
    batch_size: int,
    rng: np.random.Generator,
) -> Iterator[Batch]:
    """Yield batches of frames in random order.

    Parameters
    ----------
    utterances : list of Utterance
        Source of the frames; each utterance is read once.
    level : (float, float)
        Range (low, high] from which the level of each utterance is drawn uniformly.
    batch_size : int
        Number of frames in a batch; the last batch may have fewer.
    rng : Generator
        Source of order and levels.

    Yields
    ------
    Batch

    Examples
    --------
    >>> from skvae import STFT
    >>> import numpy as np
    >>> spectrograms = STFT(n_fft=8).fit_transform([np.ones(40), np.ones(50)])
    >>> utterances = [Utterance(spectrogram) for spectrogram in spectrograms]
    >>> rng = np.random.default_rng(0)
    >>> [len(b.power) for b in shuffled_frames(utterances, (0.0, 10.0), 20, rng)]
    [20, 20, 7]
    """
    n_total = sum(utterance.n_frames for utterance in utterances)
    pool: np.ndarray | None = None
    n_pooled = 0
    for k in rng.permutation(len(utterances)):
        for V, scale in utterances[k].scaled_blocks(draw_level(level, rng)):
            if pool is None:
                size = max(min(POOL_FRAMES, n_total), batch_size)
                pool = np.empty((size, V.shape[1]), np.float32)
            taken = 0
            while taken < len(V):
                n_new = min(len(V) - taken, len(pool) - n_pooled)
                np.multiply(
                    V[taken : taken + n_new],
                    V.dtype.type(scale),
                    out=pool[n_pooled : n_pooled + n_new],
                    casting="same_kind",
                )
                taken += n_new
                n_pooled += n_new
                if n_pooled == len(pool):
                    n_pooled = yield from _drain(pool, n_pooled, batch_size, rng)
    if pool is not None and n_pooled:
        n_pooled = yield from _drain(pool, n_pooled, batch_size, rng)
        if n_pooled:
            yield Batch(torch.from_numpy(pool[:n_pooled].copy()))


def _drain(
    pool: np.ndarray, n_pooled: int, batch_size: int, rng: np.random.Generator
) -> Generator[Batch, None, int]:
    """Yield the pool in full batches; return the number of frames left in it."""
    order = torch.from_numpy(rng.permutation(n_pooled))
    frames = torch.from_numpy(pool)
    n_left = n_pooled % batch_size
    for start in range(0, n_pooled - n_left, batch_size):
        yield Batch(frames.index_select(0, order[start : start + batch_size]))
    frames[:n_left] = frames[order[n_pooled - n_left :]]
    return n_left


def shuffled_sequences(
    utterances: Sequence[Utterance],
    level: tuple[float, float],
    batch_size: int,
    length: int,
    rng: np.random.Generator,
) -> Iterator[Batch]:
    """Yield batches of sequences of neighboring frames in random order.

    Parameters
    ----------
    utterances : list of Utterance
        Source of the frames; each utterance is read once.
    level : (float, float)
        As for :func:`shuffled_frames`.
    batch_size : int
        Number of sequences in a batch; the last batch may have fewer.
    length : int
        Number of frames in a sequence; those at the ends of an utterance may have
        fewer.
    rng : Generator
        Source of order, levels, and cut positions.

    Yields
    ------
    Batch

    Examples
    --------
    >>> from skvae import STFT
    >>> import numpy as np
    >>> spectrograms = STFT(n_fft=8).fit_transform([np.ones(40), np.ones(50)])
    >>> utterances = [Utterance(spectrogram) for spectrogram in spectrograms]
    >>> rng = np.random.default_rng(0)
    >>> batches = shuffled_sequences(utterances, (0.0, 10.0), 3, 10, rng)
    >>> sum(int(batch.lengths.sum()) for batch in batches)
    47
    """
    pool: list[Tensor] = []
    n_pooled = 0
    for k in rng.permutation(len(utterances)):
        drawn = draw_level(level, rng)
        # The cut positions differ between epochs.
        offset = int(rng.integers(length))
        for V in utterances[k].blocks(drawn):
            cuts = [0, *range(offset or length, len(V), length), len(V)]
            pool += [torch.from_numpy(V[a:b]) for a, b in pairwise(cuts)]
            n_pooled += len(V)
            if n_pooled >= POOL_FRAMES:
                order = rng.permutation(len(pool))
                n_left = len(pool) % batch_size
                yield from _in_batches(
                    [pool[i] for i in order[: len(pool) - n_left]], batch_size
                )
                # Copies, so that they do not keep whole utterances in memory.
                pool = [pool[i].clone() for i in order[len(pool) - n_left :]]
                n_pooled = sum(map(len, pool))
    order = rng.permutation(len(pool))
    yield from _in_batches([pool[i] for i in order], batch_size)


def frames_in_order(
    utterances: Sequence[Utterance], level: float, length: int | None = None
) -> Iterator[Batch]:
    """Yield the same batches in every call, for validation.

    Parameters
    ----------
    utterances : list of Utterance
        Source of the frames.
    level : float
        Mean power that all utterances are scaled to.
    length : int, default=None
        Number of frames in a sequence, with one batch per utterance; None means single
        frames.

    Yields
    ------
    Batch

    Examples
    --------
    >>> from skvae import STFT
    >>> import numpy as np
    >>> [spectrogram] = STFT(n_fft=8).fit_transform([np.ones(40)])
    >>> [batch] = frames_in_order([Utterance(spectrogram)], 5.0, length=8)
    >>> batch.power.shape, batch.lengths.tolist()
    (torch.Size([3, 8, 5]), [8, 8, 5])
    """
    for utterance in utterances:
        for V in utterance.blocks(level):
            power = torch.from_numpy(V)
            if length is None:
                yield Batch(power)
            else:
                yield from _in_batches(list(power.split(length)), BLOCK_FRAMES)


def _in_batches(sequences: list[Tensor], batch_size: int) -> Iterator[Batch]:
    for start in range(0, len(sequences), batch_size):
        chosen = sequences[start : start + batch_size]
        lengths = torch.tensor([len(sequence) for sequence in chosen])
        yield Batch(pad_sequence(chosen, batch_first=True), lengths)


def draw_level(level: tuple[float, float], rng: np.random.Generator) -> float:
    """Draw uniformly from (low, high].

    Parameters
    ----------
    level : (float, float)
        Limits of the range.
    rng : Generator
        Source of randomness.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> 0 < draw_level((0.0, 10.0), np.random.default_rng(0)) <= 10
    True
    """
    low, high = level
    return high - (high - low) * float(rng.random())


def _peak(X: np.ndarray) -> float:
    return float(max(np.abs(X.real).max(), np.abs(X.imag).max()))
