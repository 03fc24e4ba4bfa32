"""Streams of power spectra from spectrograms, never all of them in memory.

An epoch reads the utterances in a random order, brings each to a level, and gathers
their frames in a pool of some ten thousand. A full pool is shuffled and handed out in
batches.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from skvae.signal.framing import power
from skvae.utils.waveforms import INT16_SCALE

#: Frames of a recording that are transformed at once, at most.
BLOCK_FRAMES = 4096
#: Frames that are shuffled together: some forty utterances, 34 MB at 513 bins.
POOL_FRAMES = 16384


class Frames(Protocol):
    """What a :class:`~skvae.Spectrogram` has, as far as this module needs it."""

    @property
    def n_frames(self) -> int:
        """Number of frames."""

    def frames(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """Some of them, complex, shape (last - first, F)."""


class Batch(NamedTuple):
    """Power that is trained on.

    Attributes
    ----------
    power : Tensor of shape (N, F) or (B, N, F)
        Frames, or padded sequences of frames.
    lengths : Tensor of shape (B,), or None
        Numbers of frames of the sequences.
    """

    power: Tensor
    lengths: Tensor | None = None

    @property
    def n_rows(self) -> int:
        """Number of frames, or of sequences."""
        return len(self.power)

    def part(self, rows: slice) -> Batch:
        """Some of the rows, with their padding."""
        lengths = None if self.lengths is None else self.lengths[rows]
        return Batch(self.power[rows], lengths)


class Utterance:
    """Power of one utterance at a level that is asked for.

    Parameters
    ----------
    spectrogram : Spectrogram
        The utterance, read when its power is needed.

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
        # Amplitude that is divided by before squaring, and mean power then.
        self._unit = 1.0
        self._mean: float | None = None

    def blocks(self, level: float) -> Iterator[np.ndarray]:
        """Power of the utterance, scaled so that its mean is the level.

        Parameters
        ----------
        level : float
            Mean over frames and bins. Silence stays zero.

        Yields
        ------
        ndarray of float32, shape (at most BLOCK_FRAMES, F)
            The blocks in order.
        """
        for V, scale in self.scaled_blocks(level):
            yield (V * V.dtype.type(scale)).astype(np.float32, copy=False)

    def scaled_blocks(self, level: float) -> Iterator[tuple[np.ndarray, float]]:
        """Blocks as they come, and what they are to be multiplied by.

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
            # Too loud or too quiet for squares in this precision: measure once more.
            self._unit = max(_peak(self._frames(start)) for start in starts) or 1.0
            whole = self._power(0) if whole is not None else None
            self._measure(whole)
        scale = level / self._mean if self._mean else 0.0
        for start in starts:
            yield (self._power(start) if whole is None else whole), scale

    def _measure(self, whole: np.ndarray | None) -> bool:
        """Find the mean power; false if squaring has over- or underflown."""
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
        # Quiet bins are far below the mean: leave them half of the exponents.
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
    """Batches of frames in a random order.

    Parameters
    ----------
    utterances : list of Utterance
        Where the frames come from; each is read once.
    level : (float, float)
        Each utterance is brought to a level drawn uniformly from (low, high].
    batch_size : int
        Frames in a batch; the last one may have fewer.
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
    """Hand out the pool in full batches; return how many frames are left in it."""
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
    """Batches of sequences of neighbouring frames in a random order.

    Parameters
    ----------
    utterances : list of Utterance
        Where the frames come from; each is read once.
    level : (float, float)
        As for :func:`shuffled_frames`.
    batch_size : int
        Sequences in a batch; the last one may have fewer.
    length : int
        Frames in a sequence; those at the ends of an utterance may have fewer.
    rng : Generator
        Source of order, levels, and places to cut.

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
        # The cuts are elsewhere in each epoch.
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
                # Copies, so that whole utterances need not stay for their sake.
                pool = [pool[i].clone() for i in order[len(pool) - n_left :]]
                n_pooled = sum(map(len, pool))
    order = rng.permutation(len(pool))
    yield from _in_batches([pool[i] for i in order], batch_size)


def frames_in_order(
    utterances: Sequence[Utterance], level: float, length: int | None = None
) -> Iterator[Batch]:
    """The same batches each time, for validation.

    Parameters
    ----------
    utterances : list of Utterance
        Where the frames come from.
    level : float
        Mean power that all are brought to.
    length : int, default=None
        Frames in a sequence, a batch an utterance; None means single frames.

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
        The bounds.
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


class Moments(NamedTuple):
    """Statistics of the power of frames.

    Attributes
    ----------
    mean : ndarray of shape (F,)
        Mean power.
    scale : float
        Root of the mean square of the power, over all bins.
    log_mean : ndarray of shape (F,)
        Mean logarithm of the power.
    log_scale : float
        Standard deviation of the logarithm around these means, over all bins.
    """

    mean: np.ndarray
    scale: float
    log_mean: np.ndarray
    log_scale: float


def measure(batches: Iterable[Batch], floor: float) -> Moments:
    """Statistics of the power of single frames, with a floor.

    Parameters
    ----------
    batches : iterable of Batch
        The frames; padding counts for nothing.
    floor : float
        What is added to all power.

    Returns
    -------
    Moments

    Examples
    --------
    >>> import torch
    >>> moments = measure([Batch(torch.tensor([[1.0], [3.0]]))], floor=1.0)
    >>> moments.mean, round(moments.scale, 3)
    (array([3.]), 3.162)
    >>> moments.log_mean.round(3), round(moments.log_scale, 3)
    (array([1.04]), 0.347)
    """
    n_frames = 0
    total: Any = 0.0
    squares: Any = 0.0
    log_total: Any = 0.0
    log_squares: Any = 0.0
    for batch in batches:
        power = batch.power
        if batch.lengths is not None:
            power = torch.cat(
                [x[:n] for x, n in zip(power, batch.lengths, strict=True)]
            )
        power = power + floor
        log_power = power.log()
        n_frames += len(power)
        total += power.sum(0, dtype=torch.float64)
        squares += power.square().sum(dtype=torch.float64)
        log_total += log_power.sum(0, dtype=torch.float64)
        log_squares += log_power.square().sum(dtype=torch.float64)
    mean, log_mean = total / n_frames, log_total / n_frames
    n_values = n_frames * len(mean)
    log_variance = log_squares / n_values - log_mean.square().mean()
    return Moments(
        mean=mean.numpy(),
        scale=float((squares / n_values).sqrt()),
        log_mean=log_mean.numpy(),
        log_scale=float(log_variance.clamp_min(0).sqrt()),
    )


class AudioCache:
    """Keeps decoded audio up to a size: decoding costs more than training on it.

    What is in it stays; what does not fit is read again each time.

    Parameters
    ----------
    max_bytes : float
        How much to keep.

    Examples
    --------
    >>> import numpy as np
    >>> class Recording:
    ...     dtype, sample_rate = np.dtype("float32"), 16000
    ...     def __len__(self):
    ...         return 3
    ...     def __array__(self, dtype=None, copy=None):
    ...         print("read")
    ...         return np.array([0.0, 0.5, -1.0], np.float32)
    >>> audio = AudioCache(1000).wrap(Recording())
    >>> np.asarray(audio), np.asarray(audio)
    read
    (array([     0,  16384, -32768], dtype=int16),
     array([     0,  16384, -32768], dtype=int16))
    """

    def __init__(self, max_bytes: float):
        self.free_bytes = max_bytes

    def wrap(self, audio: Any) -> CachedAudio:
        """Audio that is decoded once, if it fits.

        Parameters
        ----------
        audio : AudioFile
            Or anything else that reads itself.

        Returns
        -------
        CachedAudio
        """
        return CachedAudio(audio, self)

    def keep(self, samples: np.ndarray) -> np.ndarray | None:
        """What to keep of samples: the same numbers, as 16 bits where they fit.

        Parameters
        ----------
        samples : ndarray of shape (n_samples,)

        Returns
        -------
        ndarray of shape (n_samples,), or None if it is too large
        """
        kept = _as_int16(samples)
        if kept.nbytes > self.free_bytes:
            return None
        self.free_bytes -= kept.nbytes
        return kept


class CachedAudio:
    """A waveform that reads itself, through a cache.

    Parameters
    ----------
    audio : AudioFile
        What is read.
    cache : AudioCache
        Where its samples may stay.
    """

    def __init__(self, audio: Any, cache: AudioCache):
        self._audio = audio
        self._cache = cache
        self._samples: np.ndarray | None = None
        self.dtype = audio.dtype
        if hasattr(audio, "sample_rate"):
            self.sample_rate = audio.sample_rate

    def __len__(self) -> int:
        return len(self._audio)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        samples = self._samples
        if samples is None:
            read = np.asarray(self._audio)
            samples = self._samples = self._cache.keep(read)
            if samples is None:
                samples = read
        return samples if dtype is None else samples.astype(dtype)

    def __getitem__(self, part: slice) -> Any:
        if self._samples is None and 2 * len(self) <= self._cache.free_bytes:
            self.__array__()
        if self._samples is not None:
            return self._samples[part]
        if hasattr(self._audio, "__getitem__"):
            return self._audio[part]
        return np.asarray(self._audio)[part]

    def __repr__(self) -> str:
        return repr(self._audio)


def _as_int16(samples: np.ndarray) -> np.ndarray:
    if samples.dtype != np.float32:
        return samples
    scaled = samples * np.float32(INT16_SCALE)
    if not np.abs(scaled).max(initial=0.0) <= INT16_SCALE:
        return samples
    rounded = scaled.clip(max=INT16_SCALE - 1).astype(np.int16)
    return rounded if np.array_equal(rounded, scaled) else samples


def _peak(X: np.ndarray) -> float:
    return float(max(np.abs(X.real).max(), np.abs(X.imag).max()))
