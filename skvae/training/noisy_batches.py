"""Batches of noisy speech with its clean speech, for supervised training.

Each utterance is cut into sequences of frames. A source provides the noise of a
sequence: the noise of its recording, or another noise each time. Since the transform is
linear, the speech and the noise of a batch can be paired anew for the cost of a sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from skvae.training.clean_batches import BLOCK_FRAMES
from skvae.utils.device import as_tensor

#: Limits of the scale of a mixture whose power is below that of its speech: the least
#: power relative to the speech, and the least power. Silence stays silent.
_LEAST_SHARE, _LEAST_POWER = 1e-6, torch.finfo(torch.float32).tiny


class Mixtures(NamedTuple):
    r"""Noisy speech, scaled to a mean power of one, with its clean speech.

    Attributes
    ----------
    noisy : Tensor of shape (B, N, F)
        Power of the mixture, :math:`|X|^2`.
    clean : Tensor of shape (B, N, F)
        Power of the speech, :math:`|S|^2`.
    cross : Tensor of shape (B, N, F)
        Real part of the product, :math:`\mathrm{Re}(X^* S)`: all that the loss of a
        mask needs to know of the phases.
    lengths : Tensor of shape (B,)
        Number of frames of each sequence; the padding is zero.

    Examples
    --------
    >>> import torch
    >>> power = torch.ones(2, 5, 3)
    >>> Mixtures(power, power, power, torch.tensor([5, 5])).packing() is None
    True
    >>> Mixtures(power, power, power, torch.tensor([5, 4])).packing()
    tensor([5, 4])
    """

    noisy: Tensor
    clean: Tensor
    cross: Tensor
    lengths: Tensor

    def to(self, device: str | torch.device) -> Mixtures:
        """Return the batch on a device; lengths stay on the CPU for packing."""
        return Mixtures(
            self.noisy.to(device),
            self.clean.to(device),
            self.cross.to(device),
            self.lengths,
        )

    @property
    def n_rows(self) -> int:
        """Number of sequences."""
        return len(self.lengths)

    def part(self, rows: slice) -> Mixtures:
        """Return some of the sequences, with their padding."""
        return Mixtures(*(tensor[rows] for tensor in self))

    def scaled(self, level: float | Tensor) -> Mixtures:
        """Return the mixtures, multiplied by a level.

        Parameters
        ----------
        level : float or Tensor of shape (B, 1, 1)
            Mean power after scaling.

        Returns
        -------
        Mixtures

        Examples
        --------
        >>> one = torch.ones(1, 1, 1)
        >>> louder = Mixtures(one, one / 2, one / 2, torch.tensor([1])).scaled(5.0)
        >>> louder.noisy.item(), louder.clean.item()
        (5.0, 2.5)
        """
        return self._replace(
            noisy=self.noisy * level, clean=self.clean * level, cross=self.cross * level
        )

    def packing(self) -> Tensor | None:
        """Return lengths for networks; None without padding, which is twice as fast."""
        whole = bool((self.lengths == self.noisy.shape[1]).all())
        return None if whole else self.lengths


class Source(Protocol):
    """An utterance that can be cut into sequences."""

    @property
    def n_frames(self) -> int:
        """Number of frames."""

    def cut(
        self, first: int, last: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return spectra (last - first, F) of speech and noise."""


class Pair:
    """Recorded noisy speech, with its clean speech.

    Parameters
    ----------
    noisy, clean : Spectrogram
        Of equal lengths.

    Examples
    --------
    >>> from skvae import STFT
    >>> import numpy as np
    >>> noisy, clean = STFT(n_fft=8).fit_transform([np.full(40, 3.0), np.ones(40)])
    >>> speech, noise = Pair(noisy, clean).cut(0, 5, np.random.default_rng(0))
    >>> np.allclose(noise, 2 * speech)
    True
    """

    def __init__(self, noisy: Any, clean: Any):
        self.noisy, self.clean = noisy, clean
        self.n_frames: int = clean.n_frames

    def cut(
        self, first: int, last: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return spectra (last - first, F) of speech and noise."""
        speech = self.clean.frames(first, last)
        return speech, self.noisy.frames(first, last) - speech


class DynamicMixture:
    """Clean speech that is mixed with another noise each time it is cut.

    Parameters
    ----------
    clean : Spectrogram
        The speech.
    mixer : Mixer
        Or another object with the methods ``mix`` and ``speech_length``.

    Examples
    --------
    >>> from skvae import STFT
    >>> from skvae.datasets import Mixer
    >>> import numpy as np
    >>> [clean] = STFT(n_fft=8).fit_transform([np.ones(40)])
    >>> mixture = DynamicMixture(clean, Mixer(snr=0.0))
    >>> speech, noise = mixture.cut(0, 5, np.random.default_rng(0))
    >>> speech.shape, noise.shape
    ((5, 5), (5, 5))
    """

    def __init__(self, clean: Any, mixer: Any):
        self.clean, self.mixer = clean, mixer
        self.n_frames: int = clean.n_frames

    def cut(
        self, first: int, last: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return spectra (last - first, F) of speech and noise."""
        framing = self.clean.framing
        start, stop = framing.samples_of(first, last)
        # Includes samples after the cut, which accelerated speech needs.
        end = start + self.mixer.speech_length(stop - start)
        samples = self.clean.samples(start, max(min(end, self.clean.length), stop))
        waveform = _Waveform(samples, self.clean.sample_rate)
        noisy, clean = self.mixer.mix(waveform, rng, stop - start)
        speech = framing.transform_frames(clean)
        return speech, framing.transform_frames(noisy) - speech


class _Waveform:
    """Samples with their rate, which a mixer compares with that of the noise."""

    def __init__(self, samples: np.ndarray, sample_rate: int):
        self.samples, self.sample_rate = samples, sample_rate
        self.dtype = samples.dtype

    def __len__(self) -> int:
        return len(self.samples)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.samples if dtype is None else self.samples.astype(dtype)


def shuffled_mixtures(
    sources: Sequence[Source],
    batch_size: int,
    length: int,
    rng: np.random.Generator,
    n_combinations: int = 1,
    device: str = "cpu",
) -> Iterator[Mixtures]:
    """Yield batches of mixtures in random order.

    Parameters
    ----------
    sources : list of Source
        Utterances. Each is cut once, except for a remainder that is too short for a
        sequence, at a position that differs between calls.
    batch_size : int
        Number of sequences in a batch; the last batch may have fewer.
    length : int
        Number of frames in a sequence; a shorter utterance is one sequence.
    rng : Generator
        Source of order, cut positions, and mixtures.
    n_combinations : int
        Number of batches formed from each set of sequences. The first has the sequences
        as they are; in the others each noise is paired with another speech, at the SNR
        of a third sequence. Sets of sequences of several lengths form one batch.
    device : str
        PyTorch device on which batches are formed, from spectra on the CPU.

    Yields
    ------
    Mixtures

    Examples
    --------
    >>> from skvae import STFT
    >>> import numpy as np
    >>> spectrograms = STFT(n_fft=8).fit_transform([np.ones(40), np.ones(50)])
    >>> sources = [Pair(spectrogram, spectrogram) for spectrogram in spectrograms]
    >>> rng = np.random.default_rng(0)
    >>> [batch.lengths.tolist() for batch in shuffled_mixtures(sources, 3, 10, rng)]
    [[10, 10, 10], [10]]
    """
    cuts = []
    for k, source in enumerate(sources):
        size = min(length, source.n_frames)
        offset = int(rng.integers(source.n_frames % size + 1))
        starts = range(offset, source.n_frames - size + 1, size)
        cuts += [(k, first, first + size) for first in starts]
    # Short sequences last: batches of one length need no packing, which doubles the
    # time.
    shuffled = [cuts[i] for i in rng.permutation(len(cuts))]
    shuffled.sort(key=lambda cut: cut[2] - cut[1] < length)
    for start in range(0, len(cuts), batch_size):
        chosen = shuffled[start : start + batch_size]
        speech, noise, lengths = _stack(
            [sources[k].cut(first, last, rng) for k, first, last in chosen], device
        )
        yield mixtures(speech, noise, lengths)
        if len(chosen) > 1 and bool((lengths == lengths[0]).all()):
            for _ in range(n_combinations - 1):
                yield mixtures(speech, recombined(speech, noise, rng), lengths)


def mixtures_in_order(
    sources: Sequence[Source], length: int, seed: int
) -> Iterator[Mixtures]:
    """Yield the same batches in every call, for validation: one for each utterance.

    Parameters
    ----------
    sources : list of Source
        The utterances.
    length : int
        Number of frames in a sequence.
    seed : int
        Seed of the mixtures; each depends on it and on the position of the utterance.

    Yields
    ------
    Mixtures

    Examples
    --------
    >>> from skvae import STFT
    >>> import numpy as np
    >>> [spectrogram] = STFT(n_fft=8).fit_transform([np.ones(40)])
    >>> [batch] = mixtures_in_order([Pair(spectrogram, spectrogram)], 8, seed=0)
    >>> batch.noisy.shape, batch.lengths.tolist()
    (torch.Size([3, 8, 5]), [8, 8, 5])
    """
    for k, source in enumerate(sources):
        rng = np.random.default_rng([seed, k])
        size = max(BLOCK_FRAMES // length, 1) * length
        for first in range(0, source.n_frames, size):
            last = min(first + size, source.n_frames)
            speech, noise = source.cut(first, last, rng)
            cuts = range(length, last - first, length)
            parts = list(
                zip(np.split(speech, cuts), np.split(noise, cuts), strict=True)
            )
            yield mixtures(*_stack(parts))


def mixtures(speech: Tensor, noise: Tensor, lengths: Tensor) -> Mixtures:
    """Return mixtures of speech and noise, at a mean power of one.

    Parameters
    ----------
    speech, noise : Tensor of complex, shape (B, N, F)
        Spectra, padded by zeros.
    lengths : Tensor of shape (B,)
        Number of frames of each sequence.

    Returns
    -------
    Mixtures
        Their mean power is one, except where the noise cancels the speech, and in
        silence.

    Examples
    --------
    >>> import torch
    >>> speech = torch.full((1, 2, 3), 3.0 + 0j)
    >>> batch = mixtures(speech, speech, torch.tensor([2]))
    >>> batch.noisy[0, 0, 0].item(), batch.clean[0, 0, 0].item()
    (1.0, 0.25)
    """
    mixture = speech + noise
    noisy, clean = _power(mixture), _power(speech)
    cross = mixture.real * speech.real
    cross.addcmul_(mixture.imag, speech.imag)
    n_values = (lengths * noisy.shape[2]).to(noisy.device)
    mean, of_speech = (power.sum((1, 2)) / n_values for power in (noisy, clean))
    least = of_speech.mul_(_LEAST_SHARE).clamp_min_(_LEAST_POWER)
    scale = torch.maximum(mean, least).reciprocal_()[:, None, None]
    return Mixtures(noisy * scale, clean * scale, cross * scale, lengths)


def recombined(speech: Tensor, noise: Tensor, rng: np.random.Generator) -> Tensor:
    """Pair each noise with another speech, at the SNR of another sequence.

    Parameters
    ----------
    speech, noise : Tensor of complex, shape (B, N, F)
        Spectra of at least two sequences.
    rng : Generator
        Source of the pairing.

    Returns
    -------
    Tensor of complex, shape (B, N, F)
        Noise. The SNRs are those of the sequences, in another order. Silent noise stays
        silent, so the fraction of clean speech stays as well. Where the speech is
        silent, the noise is not scaled.

    Examples
    --------
    >>> import torch
    >>> speech, noise = torch.ones(2, 1, 1) + 0j, torch.ones(2, 1, 1) + 0j
    >>> noise[1] *= 2
    >>> recombined(speech, noise, np.random.default_rng(0)).real.flatten()
    tensor([1., 2.])
    """
    n = len(speech)
    of_speech, of_noise = _power(speech).sum((1, 2)), _power(noise).sum((1, 2))
    ratio = of_noise / of_speech
    order = torch.from_numpy(rng.permutation(n)).to(ratio.device)
    shift = int(rng.integers(1, n))
    rolled, of_rolled = noise.roll(shift, 0), of_noise.roll(shift, 0)
    # Silent noise has no SNR to give, and takes none: it comes last on both sides.
    order = order[(of_noise[order] <= 0).to(torch.uint8).argsort(stable=True)]
    takers = (of_rolled <= 0).to(torch.uint8).argsort(stable=True)
    ratio = torch.empty_like(ratio).index_copy_(0, takers, ratio[order])
    gain = (ratio * of_speech / of_rolled).sqrt()
    # No division by silence, and no noise becomes silent.
    gain = torch.where(gain.isfinite() & (gain > 0), gain, 1.0)
    return rolled * gain[:, None, None]


def _stack(
    parts: Sequence[tuple[np.ndarray, np.ndarray]], device: str = "cpu"
) -> tuple[Tensor, Tensor, Tensor]:
    lengths = torch.tensor([len(speech) for speech, _ in parts])
    speech, noise = (
        pad_sequence(
            [as_tensor(np.asarray(x, np.complex64)) for x in spectra],
            batch_first=True,
        ).to(device)
        for spectra in zip(*parts, strict=True)
    )
    return speech, noise, lengths


def _power(spectra: Tensor) -> Tensor:
    power = spectra.real.square()
    return power.addcmul_(spectra.imag, spectra.imag)
