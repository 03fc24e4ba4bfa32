"""Enhancement of one recording, block by block: masks, outputs, separation, score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.metrics import si_sdr
from skvae.signal.blocks import BlockSpectra, fade_in
from skvae.signal.framing import OverlapAdd
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.upper_band import UpperBand
from skvae.utils.waveforms import restore_dtype

if TYPE_CHECKING:
    from skvae.base import BaseEnhancer

#: Masks may exceed [0, 1] by this much, the rounding of sums in single precision.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Separation:
    """Result of `separate` for one utterance.

    Attributes
    ----------
    enhanced : ndarray of shape (n_samples,), or Spectrogram
        The speech.
    noise : ndarray of shape (n_samples,), or Spectrogram
        The input minus the speech.
    mask : ndarray of shape (n_bins, n_frames)
        Gain of each bin, in [0, 1].
    mask_std : ndarray of shape (n_bins, n_frames), or None
        Standard deviation of the mask over the draws of a method that draws. It ranks
        bins by their uncertainty; it is no error bar (see the user guide).
    n_iter : int
        Number of iterations, summed over the blocks of a long recording.
    history : list of float
        Objective after each iteration, for methods with an objective.

    See Also
    --------
    BaseEnhancer.separate : Returns one for each utterance.

    Examples
    --------
    >>> from skvae import WienerFilter
    >>> from skvae.datasets import make_dataset
    >>> noisy, _ = make_dataset(1, random_state=0)
    >>> separation = WienerFilter().fit(noisy).separate(noisy)[0]
    >>> separation.mask.shape[0], separation.mask_std is None
    (513, True)
    """

    enhanced: Any
    noise: Any
    mask: np.ndarray
    mask_std: np.ndarray | None = None
    n_iter: int = 0
    history: Sequence[float] = ()


@dataclass(frozen=True)
class MaskEstimate:
    """Mask of a block of frames, as a method returns it.

    Attributes
    ----------
    mask : ndarray of shape (n_frames, n_bins)
        Gain of each bin, in [0, 1].
    mask_std : ndarray of shape (n_frames, n_bins), or None
        Standard deviation of the mask over the method's draws.
    n_iter : int
        Number of iterations.
    history : sequence of float
        Objective after each iteration.
    state : object
        What the method hands on to the next block of the same recording.

    See Also
    --------
    BaseEnhancer : Its subclasses return them from `_estimate_mask`.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import MaskEstimate
    >>> MaskEstimate(np.ones((7, 513))).mask.shape
    (7, 513)
    """

    mask: np.ndarray
    mask_std: np.ndarray | None = None
    n_iter: int = 0
    history: Sequence[float] = ()
    state: Any = None


def check_estimate(estimate: Any, shape: tuple[int, ...]) -> MaskEstimate:
    """Check what a method returns.

    Parameters
    ----------
    estimate : object
        Return value of ``_estimate_mask``.
    shape : tuple of int
        Shape (N, F) of the power spectrogram.

    Returns
    -------
    MaskEstimate
        The estimate, its mask clipped where rounding has moved it outside [0, 1].

    Raises
    ------
    ValueError
        If it is not a MaskEstimate, or its arrays are not those of a mask.

    Examples
    --------
    >>> check_estimate(MaskEstimate(np.full((2, 3), 1.5)), (2, 3))
    Traceback (most recent call last):
        ...
    ValueError: `_estimate_mask` must return a mask within [0, 1], got values in
    [1.5, 1.5].
    """
    if not isinstance(estimate, MaskEstimate):
        raise ValueError(
            "`_estimate_mask` must return a MaskEstimate, e.g. MaskEstimate(mask), "
            f"got {type(estimate).__name__}."
        )
    for name in ("mask", "mask_std"):
        values = getattr(estimate, name)
        if name == "mask_std" and values is None:
            continue
        if not isinstance(values, np.ndarray) or values.shape != shape:
            got = getattr(values, "shape", None)
            got = type(values).__name__ if got is None else f"shape {tuple(got)}"
            raise ValueError(
                f"`_estimate_mask` must return a `{name}` that is an array of shape "
                f"(N, F) = {shape}, got {got}."
            )
        if values.dtype.kind not in "fiub":
            raise ValueError(
                f"`_estimate_mask` must return a `{name}` of real numbers, got "
                f"{values.dtype}."
            )
    low, high = estimate.mask.min(), estimate.mask.max()
    if low >= 0 and high <= 1:  # false for NaN
        return estimate
    if not np.isfinite(estimate.mask).all():
        raise ValueError("`_estimate_mask` must return a finite mask, got NaN or inf.")
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise ValueError(
            "`_estimate_mask` must return a mask within [0, 1], got values in "
            f"[{low:g}, {high:g}]."
        )
    return replace(estimate, mask=estimate.mask.clip(0, 1))


class Enhancement:
    """One recording on its way through an enhancer, a block at a time.

    Each method walks through the recording once, from its beginning to its end.

    Parameters
    ----------
    enhancer : BaseEnhancer
        Fitted.
    channels : sequence of Spectrogram
        The channels of the recording, of equal lengths. Their sample rate may be a
        multiple of the enhancer's: the mask is found in the bins of its band.
    found : tuple of BlockSpectra and MaskEstimate, default=None
        Spectra and mask of a recording of one block, where :func:`estimate_together`
        has found them.
    observer : callable, default=None
        Function of the power and the mask of each block, of shape (N, F), before
        `attenuation_limit` is applied.

    Examples
    --------
    >>> from skvae import STFT, WienerFilter
    >>> waveform = np.random.default_rng(0).standard_normal(20_000)
    >>> enhancer = WienerFilter().fit([waveform])
    >>> enhancement = Enhancement(enhancer, STFT().fit_transform([waveform]))
    >>> enhancement.enhanced().shape
    (20000,)
    """

    def __init__(
        self,
        enhancer: BaseEnhancer,
        channels: Sequence[Spectrogram],
        found: tuple[BlockSpectra, MaskEstimate] | None = None,
        observer: Callable[[np.ndarray, np.ndarray], object] | None = None,
    ):
        self.enhancer = enhancer
        self.channels = channels
        self.n_frames = channels[0].n_frames
        self._found = found
        self._observer = observer
        self._block_frames, self._overlap = enhancer._block_frames(channels[0])

    @property
    def is_one_block(self) -> bool:
        """Whether the recording is enhanced in one piece."""
        return self._block_end(0) == self.n_frames

    def _block_end(self, start: int) -> int:
        """Frame after the last one of the block that begins at `start`."""
        n_left = self.n_frames - start
        # A remainder too short to learn anything from joins the last block.
        if n_left - self._block_frames <= self._block_frames // 4:
            return self.n_frames
        return start + self._block_frames

    def blocks(self) -> Iterator[tuple[BlockSpectra, MaskEstimate]]:
        """Yield the blocks of the recording in order: spectra, and mask.

        The frames of the masks follow one another without gap or overlap. Where blocks
        overlap, their masks are cross-faded. Since all frames lie on one grid, nothing
        clicks.

        Yields
        ------
        spectra : BlockSpectra
            Spectra of the block, of all channels.
        estimate : MaskEstimate
            Mask of the first frames of the block, with `attenuation_limit` applied.
        """
        if self._found is not None:
            yield self._found
            return
        enhancer, overlap = self.enhancer, self._overlap
        rng = np.random.default_rng(enhancer.seed_)
        before: MaskEstimate | None = None
        state, start, stop = None, 0, 0
        while stop < self.n_frames:
            stop = self._block_end(start)
            spectra = BlockSpectra(self.channels, start, stop)
            V = spectra.power(enhancer.stft_.n_fft)
            estimate = enhancer._estimate(V, rng, state)
            if self._observer is not None:
                self._observer(V, estimate.mask)
            estimate = self._limited(estimate, V.dtype)
            del V
            state = estimate.state
            if before is not None:
                estimate = _faded(before, estimate)
            if overlap and stop < self.n_frames:
                estimate, before = _split(estimate, stop - start - overlap)
            yield spectra, estimate
            start += len(estimate.mask)
            # Release this block before reading the next one.
            del spectra, estimate

    def _limited(self, estimate: MaskEstimate, dtype: np.dtype) -> MaskEstimate:
        """The estimate in the precision of the power, with `attenuation_limit`."""
        mask = estimate.mask.astype(dtype, copy=False)
        if (least := self._least_gain()) > 0:
            mask = np.maximum(mask, dtype.type(least))
        return replace(estimate, mask=mask)

    def _least_gain(self) -> float:
        limit = self.enhancer.attenuation_limit
        return 0.0 if limit is None else float(10 ** (-limit / 20))

    def _above(self) -> UpperBand | None:
        """Gain of the bins above those of the enhancer, if there are any."""
        first = self.channels[0]
        n_bins = self.enhancer.stft_.n_fft // 2 + 1
        if first.framing.n_bins == n_bins:
            return None
        return UpperBand(n_bins, first.framing, first.sample_rate, self._least_gain())

    def pieces(self) -> Iterator[list[np.ndarray]]:
        """Yield the next finished samples of each channel, as floats."""
        first, above = self.channels[0], self._above()
        outputs: list[OverlapAdd] = []
        for spectra, estimate in self.blocks():
            for frames in spectra.masked(estimate.mask, above):
                if not outputs:
                    outputs = [
                        OverlapAdd(first.framing, first.length, X.dtype) for X in frames
                    ]
                yield [
                    output.push(X) for output, X in zip(outputs, frames, strict=True)
                ]
            del spectra, estimate

    def _samples(self) -> np.ndarray:
        """Enhanced waveform of one channel, as floats."""
        return np.concatenate([piece for [piece] in self.pieces()])

    def enhanced(self) -> np.ndarray:
        """Return the enhanced waveform of one channel, in its own dtype."""
        return restore_dtype(self._samples(), self.channels[0].dtype)

    def enhanced_spectrogram(self) -> Spectrogram:
        """Return the enhanced spectrogram of one channel."""
        frames = []
        for spectra, estimate in self.blocks():
            frames += [X for [X] in spectra.masked(estimate.mask)]
            del spectra, estimate
        return self.channels[0].replace(np.concatenate(frames).T)

    def score(self, clean: Spectrogram) -> float:
        """Return the SI-SDR of one channel in dB, given its clean speech."""
        return si_sdr(clean.samples(), self._samples())

    def separated(self) -> Separation:
        """Return speech and noise of one channel as waveforms, and the mask."""
        [noisy] = self.channels
        filtered, estimates = self._filtered()
        enhanced = filtered.to_waveform()
        if noisy.dtype == np.int16:  # the parts sum to the input in integers, too
            noise = noisy.to_waveform().astype(np.int32) - enhanced
            noise = noise.clip(-32768, 32767).astype(np.int16)
        else:
            noise = restore_dtype(noisy.samples() - filtered.samples(), noisy.dtype)
        return _separation(enhanced, noise, estimates)

    def separated_spectrograms(self) -> Separation:
        """Return speech and noise of one channel as spectrograms, and the mask."""
        [noisy] = self.channels
        enhanced, estimates = self._filtered()
        noise = noisy.replace(noisy.data - enhanced.data)
        return _separation(enhanced, noise, estimates)

    def _filtered(self) -> tuple[Spectrogram, list[MaskEstimate]]:
        """Enhanced spectrogram of one channel, and the masks of all blocks."""
        [noisy] = self.channels
        frames, estimates = [], []
        for spectra, estimate in self.blocks():
            frames += [X for [X] in spectra.masked(estimate.mask)]
            estimates.append(estimate)
            del spectra
        return noisy.replace(np.concatenate(frames).T), estimates


def _separation(enhanced: Any, noise: Any, estimates: list[MaskEstimate]) -> Separation:
    stds: list[Any] = [estimate.mask_std for estimate in estimates]
    return Separation(
        enhanced=enhanced,
        noise=noise,
        mask=np.concatenate([estimate.mask for estimate in estimates]).T,
        mask_std=None if stds[0] is None else np.concatenate(stds).T,
        n_iter=sum(estimate.n_iter for estimate in estimates),
        history=[value for estimate in estimates for value in estimate.history],
    )


def _faded(before: MaskEstimate, estimate: MaskEstimate) -> MaskEstimate:
    """The estimate, its first frames cross-faded with those of the block before."""
    std = estimate.mask_std
    if std is not None and before.mask_std is not None:
        std = fade_in(before.mask_std, std)
    return replace(estimate, mask=fade_in(before.mask, estimate.mask), mask_std=std)


def _split(estimate: MaskEstimate, n: int) -> tuple[MaskEstimate, MaskEstimate]:
    """The first n frames, and a copy of the rest."""
    mask, std = estimate.mask, estimate.mask_std
    first = replace(estimate, mask=mask[:n], mask_std=None if std is None else std[:n])
    rest = MaskEstimate(mask[n:].copy(), None if std is None else std[n:].copy())
    return first, rest
