"""What every enhancer shares: kinds of input, pairs, seeds, blocks, jobs and scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar, overload

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted

from skvae.metrics import mean_defined, si_sdr
from skvae.signal.bandwidth import Band
from skvae.signal.blocks import BlockSpectra, fade_in
from skvae.signal.framing import OverlapAdd, power
from skvae.signal.spectrogram import (
    Spectrogram,
    SpectrogramArray,
    check_lengths,
    check_sample_rate,
    open_spectrograms,
)
from skvae.signal.stft import STFT
from skvae.signal.types import Utterances, Waveform, with_callbacks
from skvae.signal.utterances import (
    Kind,
    is_spectrogram,
    read_clean,
    read_collection,
    require_clean,
)
from skvae.utils.device import check_device
from skvae.utils.learned import Instance, Learned, Scalar
from skvae.utils.parameters import (
    NamedParts,
    Number,
    Range,
    check_ranges,
    check_real,
)
from skvae.utils.progress import Progress
from skvae.utils.random import draw_seed
from skvae.utils.waveforms import restore_dtype
from skvae.utils.workers import run_tasks

Result = TypeVar("Result")


@dataclass(frozen=True)
class Separation:
    """All that an enhancer knows of one utterance.

    Attributes
    ----------
    enhanced : ndarray of shape (n_samples,), or Spectrogram
        The speech.
    noise : ndarray of shape (n_samples,), or Spectrogram
        The rest; the two sum to the input.
    mask : ndarray of shape (n_bins, n_frames)
        Share of the input that was taken for speech, in [0, 1].
    mask_std : ndarray of shape (n_bins, n_frames), or None
        Posterior standard deviation of the mask, where the method has a posterior.
    n_iter : int
        Iterations that it took, summed over the blocks of a long recording.
    history : list of float
        Objective after each iteration, where the method has one.

    See Also
    --------
    BaseEnhancer.separate : Gives one for each utterance.

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
    """What a method finds in a block of frames.

    Attributes
    ----------
    mask : ndarray of shape (n_frames, n_bins)
        Share of each bin that is speech, in [0, 1].
    mask_std : ndarray of shape (n_frames, n_bins), or None
        Its posterior standard deviation.
    n_iter : int
        Number of iterations.
    history : sequence of float
        Objective after each of them.
    state : object
        What the next block of the same recording starts from.

    See Also
    --------
    BaseEnhancer : Its subclasses make them.

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


#: Masks may leave [0, 1] by this much, the rounding of sums in single precision.
_ROUNDING = 1e-6


def check_estimate(estimate: Any, shape: tuple[int, ...]) -> MaskEstimate:
    """Check what a method has found.

    Parameters
    ----------
    estimate : object
        The value that ``_estimate_mask`` has returned.
    shape : tuple of int
        Shape (N, F) of the power spectrogram.

    Returns
    -------
    MaskEstimate
        Itself, its mask clipped to [0, 1] where rounding has left that.

    Raises
    ------
    ValueError
        If it is no MaskEstimate, or its arrays are not those of a mask.

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


class _Verbosity:
    """False, True, or a number that is not negative."""

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, bool):
            check_real(name, value, low=0)


class _JobCount:
    """None, or an integer other than 0, as in scikit-learn."""

    def check(self, name: str, value: Any) -> None:
        check_real(name, value, integer=True, optional=True)
        if value == 0:
            raise ValueError(f"`{name}` must not be 0.")


class SpeechEstimator(
    CallbackSupportMixin, NamedParts, TransformerMixin, BaseEstimator
):
    """Base of enhancers and speech models: utterances, parameters and iterations."""

    _parameter_ranges: ClassVar[Mapping[str, Range | None]] = {"verbose": _Verbosity()}

    #: What `fit` leaves, which a model file keeps; see :mod:`skvae.utils.learned`.
    _learned: ClassVar[Mapping[str, Learned | None]] = {
        "stft_": Instance(STFT),
        "seed_": Scalar(low=0, integer=True),
    }

    stft: STFT | None
    stft_: STFT
    verbose: int

    def _check_parameters(self) -> None:
        """Raise a ValueError for parameters that do not go together.

        Ranges of single parameters are declared in ``_parameter_ranges``. Both are
        checked whenever the estimator is used.
        """

    def _check(self) -> None:
        """Check all parameters: `set_params` may have changed a fitted estimator."""
        check_ranges(self)
        self._check_parameters()

    def _choose_stft(self, spectrogram: Spectrogram | None) -> STFT:
        if spectrogram is None:
            return STFT() if self.stft is None else clone(self.stft)
        brought = STFT(
            spectrogram.n_fft,
            spectrogram.hop_length,
            window=spectrogram.window,
            center=spectrogram.center,
            sample_rate=spectrogram.sample_rate,
        )
        if self.stft is not None:
            framing = self.stft.framing()
            open_spectrograms([spectrogram], framing, self.stft.sample_rate)
        return brought

    def _open(
        self, items: Sequence[Any], *, of: str = "utterance"
    ) -> list[Spectrogram]:
        sample_rate = check_sample_rate(self.stft_.sample_rate)
        return open_spectrograms(items, self.stft_.framing(), sample_rate, of=of)

    def _open_clean(
        self, clean: Sequence[Any], utterances: list[Spectrogram]
    ) -> list[Spectrogram]:
        opened = self._open(clean, of="clean speech of utterance")
        check_lengths(utterances, opened)
        return opened

    @contextmanager
    def _iterations(
        self, n_iter: int, task: str = "iteration"
    ) -> Iterator[Callable[..., bool]]:
        """Let callbacks, and people if `verbose`, follow the iterations of `fit`.

        Parameters
        ----------
        n_iter : int
            How many there will be at most.
        task : str
            What callbacks know one of them by.

        Yields
        ------
        callable
            To be called after each of them; true if a callback wants to stop. It takes
            a line to show (optional), and what a fitted estimator would have if `fit`
            stopped here: a function that gives a dict of attributes (optional).
        """
        context = self._init_callback_context(max_subtasks=n_iter)
        context.call_on_fit_task_begin(estimator=self)
        label = f"fitting {type(self).__name__}"
        with Progress(n_iter, label, enabled=bool(self.verbose)) as progress:

            def advance(
                line: str | None = None,
                attributes: Callable[[], dict[str, Any]] | None = None,
            ) -> bool:
                progress.advance(line)
                iteration = context.subcontext(task_name=task)
                iteration.call_on_fit_task_begin(estimator=self)
                return bool(
                    iteration.call_on_fit_task_end(
                        estimator=self, reconstruction_attributes=attributes
                    )
                )

            yield advance
        context.call_on_fit_task_end(estimator=self)


class BaseEnhancer(SpeechEstimator, ABC):
    """Base of all enhancers, which multiply a spectrogram by a mask.

    A method writes its constructor, with the six parameters below among its own,
    :meth:`_estimate_mask`, and :meth:`_fit` if it learns something.

    Parameters
    ----------
    stft : STFT, default=None
        Analysis of waveforms; None means ``STFT()``. Spectrograms bring their own.
    attenuation_limit : float, default=None
        The noise is lowered by at most so many dB; None means no limit.
    block_seconds : float, default=60.0
        Longer recordings are enhanced in blocks of this length; None means never.
    random_state : int, Generator or None, default=None
        Where `seed_` comes from.
    n_jobs : int, default=None
        Number of utterances that are enhanced side by side, as in scikit-learn.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    stft_ : STFT
        The analysis that is used.
    seed_ : int
        Every utterance starts its own generator from it, so that results depend on
        neither the order of the utterances nor `n_jobs`.
    n_features_in_ : int
        Number of samples of each row, where `fit` saw a 2-D array.

    See Also
    --------
    skvae.evaluation.estimator_checks.check_enhancer : Tests of a subclass.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import BaseEnhancer, MaskEstimate
    >>> class Attenuator(BaseEnhancer):
    ...     def __init__(self, gain=0.5, *, stft=None, attenuation_limit=None,
    ...                  block_seconds=60.0, random_state=None, n_jobs=None, verbose=0):
    ...         self.gain = gain
    ...         self.stft = stft
    ...         self.attenuation_limit = attenuation_limit
    ...         self.block_seconds = block_seconds
    ...         self.random_state = random_state
    ...         self.n_jobs = n_jobs
    ...         self.verbose = verbose
    ...     def _estimate_mask(self, V, rng, state):
    ...         return MaskEstimate(np.full_like(V, self.gain))
    >>> enhancer = Attenuator().fit([np.ones(10)])
    >>> enhancer.transform([np.ones(4)])[0].round(6)
    array([0.5, 0.5, 0.5, 0.5])
    """

    _parameter_ranges = {
        "attenuation_limit": Number(low=0, optional=True),
        "block_seconds": Number(low=0, open_low=True, optional=True),
        "n_jobs": _JobCount(),
    }

    #: Seconds that neighbouring blocks share, their masks cross-faded. A method that
    #: runs through the frames in order and hands on its whole state needs none.
    _block_overlap: float = 0.0

    #: Whether recordings of a narrower band are filled first: for networks, which are
    #: trained on full ones.
    _fills_band: bool = False

    #: Whether :meth:`_estimate_mask` takes a fourth argument, `device`, the name of a
    #: PyTorch device. None means the enhancer's own parameter `device`.
    _takes_device: bool = False

    attenuation_limit: float | None
    block_seconds: float | None
    random_state: Any
    n_jobs: int | None
    device: str

    @abstractmethod
    def _estimate_mask(
        self, V: np.ndarray, rng: np.random.Generator, state: Any
    ) -> MaskEstimate:
        """Find the speech in a block of frames.

        Parameters
        ----------
        V : ndarray of shape (N, F)
            Power spectrogram ``|X|^2``, the mean over the channels.
        rng : Generator
            The utterance's own.
        state : object or None
            The `state` of the block before; None for the first.

        Returns
        -------
        MaskEstimate
        """

    def _batch_frames(self) -> int:
        """Frames that :meth:`_estimate_masks` takes at once, at most.

        Zero means that each recording is enhanced by itself, as a CPU does it best.
        """
        return 0

    def _estimate_masks(
        self, powers: list[np.ndarray], rngs: list[np.random.Generator]
    ) -> list[MaskEstimate]:
        """Find the speech in several recordings at once.

        Parameters
        ----------
        powers : list of ndarray, each of shape (N, F)
            Power spectrograms of whole recordings of similar lengths.
        rngs : list of Generator
            The recordings' own.

        Returns
        -------
        list of MaskEstimate
        """
        return [
            self._estimate_mask(V, rng, None)
            for V, rng in zip(powers, rngs, strict=True)
        ]

    def _fit(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        """Learn from clean speech, and from noisy speech beside it if there is any."""

    @with_callbacks
    def fit(self, X: Utterances, y: Utterances | None = None) -> Self:
        """Fit the enhancer.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Clean speech if `y` is None, else noisy speech. Beware: noisy speech
            without `y` is taken for clean.
        y : list of waveforms, 2-D array, or None, default=None
            Clean speech of the same lengths.

        Returns
        -------
        BaseEnhancer
            Itself.
        """
        items, kind = read_collection(self, X, reset=True)
        self._check()
        self.stft_ = self._choose_stft(items[0] if kind.spectral else None)
        utterances = self._open(items)
        clean_items = read_clean(y, len(utterances))
        self.seed_ = draw_seed(self.random_state)
        rng = np.random.default_rng(self.seed_)
        if clean_items is None:
            self._fit(None, utterances, rng)
        else:
            self._fit(utterances, self._open_clean(clean_items, utterances), rng)
        return self

    @overload
    def transform(self, X: NDArray[Any]) -> NDArray[Any]: ...

    @overload
    def transform(self, X: SpectrogramArray) -> SpectrogramArray: ...

    @overload
    def transform(self, X: Sequence[Spectrogram]) -> list[Spectrogram]: ...

    @overload
    def transform(self, X: Sequence[Waveform]) -> list[NDArray[Any]]: ...

    def transform(self, X: Any) -> Any:
        """Enhance utterances.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Noisy speech.

        Returns
        -------
        list of ndarray, 2-D array, or list of Spectrogram
            Enhanced speech: what came in, with the same lengths and dtypes.
        """
        check_is_fitted(self)
        self._check()
        items, kind = read_collection(self, X)
        calls = [(spectrogram, kind.spectral) for spectrogram in self._open(items)]
        enhanced = self._run(_enhance, calls, "enhancing")
        if kind is Kind.ARRAY:
            return np.stack(enhanced)
        return (
            SpectrogramArray(enhanced) if kind is Kind.SPECTROGRAM_ARRAY else enhanced
        )

    def separate(self, X: Utterances) -> list[Separation]:
        """Enhance utterances and keep all that is known: noise, mask, history.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Noisy speech.

        Returns
        -------
        list of Separation
            Its `enhanced` and `noise` are of the kind of the utterance.
        """
        check_is_fitted(self)
        self._check()
        items, kind = read_collection(self, X)
        calls = [(spectrogram, kind.spectral) for spectrogram in self._open(items)]
        return self._run(_separate, calls, "separating")

    def score(self, X: Utterances, y: Utterances | None = None) -> float:
        """Mean SI-SDR of the enhanced utterances in dB; higher is better.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Noisy speech.
        y : list of waveforms or 2-D array
            Clean speech of the same lengths; an error says so if it is missing.

        Returns
        -------
        float
            Utterances whose clean speech is silent do not count.
        """
        check_is_fitted(self)
        self._check()
        items, _ = read_collection(self, X)
        utterances = self._open(items)
        clean = require_clean(y, len(utterances))
        opened = self._open_clean(clean, utterances)
        calls = list(zip(utterances, opened, strict=True))
        return mean_defined(self._run(_score, calls, "scoring"))

    def estimate_mask(
        self,
        V: np.ndarray,
        rng: np.random.Generator | None = None,
        state: Any = None,
        device: str | None = None,
    ) -> MaskEstimate:
        """Estimate the mask of a power spectrogram, e.g. to guide another method.

        The mask is the one that `transform` multiplies by, before `attenuation_limit`
        is applied. Nothing is set on the enhancer, so several threads may ask it.

        Parameters
        ----------
        V : ndarray of float, shape (n_frames, n_bins)
            Power spectrogram of a recording, or of its next block.
        rng : Generator, default=None
            The recording's generator; None means a new one from `seed_`.
        state : object, default=None
            The `state` of the estimate for the block before; None for the first.
        device : str, default=None
            PyTorch device to compute on; None means the enhancer's own. Enhancers
            without a parameter `device` ignore it.

        Returns
        -------
        MaskEstimate
            Mask of shape (n_frames, n_bins), and the state for the next block.

        Examples
        --------
        >>> import numpy as np
        >>> from skvae import LogMMSE
        >>> from skvae.datasets import make_dataset
        >>> noisy, _ = make_dataset(1, random_state=0)
        >>> enhancer = LogMMSE().fit(noisy)
        >>> [spectrogram] = enhancer.stft_.transform(noisy)
        >>> V = np.abs(spectrogram.frames()) ** 2
        >>> estimate = enhancer.estimate_mask(V)
        >>> estimate.mask.shape == V.shape
        True
        """
        check_is_fitted(self)
        n_bins = self.stft_.framing().n_bins
        if V.ndim != 2 or V.shape[1] != n_bins or V.dtype.kind != "f":
            raise ValueError(
                f"`V` must be an array of floats of shape (n_frames, {n_bins}), got "
                f"{V.dtype} of shape {V.shape}."
            )
        rng = np.random.default_rng(self.seed_) if rng is None else rng
        return self._estimate(V, rng, state, device)

    def enhance_blocks(
        self,
        channels: Sequence[Waveform] | NDArray[Any],
        sample_rate: int | None = None,
    ) -> Iterator[np.ndarray]:
        """Enhance one recording in bounded memory, a block at a time.

        All channels are multiplied by one mask, found in their mean power, so that
        they keep their places in space.

        Parameters
        ----------
        channels : sequence of waveforms
            The channels of one recording, of equal lengths.
        sample_rate : int, default=None
            A multiple of the rate that the enhancer was made for; None means that rate.
            Frequencies above the enhancer's band are multiplied by the mean of the mask
            in the highest sixteenth of the band.

        Yields
        ------
        ndarray of shape (n_channels, n_samples)
            The next samples of the enhanced recording, as floats.

        Examples
        --------
        >>> import numpy as np
        >>> from skvae import WienerFilter
        >>> enhancer = WienerFilter(block_seconds=1.0).fit([np.ones(10)])
        >>> stereo = np.random.default_rng(0).standard_normal((2, 40_000))
        >>> sum(piece.shape[1] for piece in enhancer.enhance_blocks(stereo))
        40000
        """
        check_is_fitted(self)
        self._check()
        framing = self.stft_.framing()
        own_rate = check_sample_rate(self.stft_.sample_rate)
        sample_rate = own_rate if sample_rate is None else sample_rate
        if sample_rate % own_rate:
            raise ValueError(
                f"`sample_rate` must be a multiple of {own_rate}, got {sample_rate}: "
                "resample the recording."
            )
        framing = framing.stretch(sample_rate // own_rate)
        spectrograms = open_spectrograms(channels, framing, sample_rate, of="channel")
        if len({spectrogram.length for spectrogram in spectrograms}) != 1:
            raise ValueError(
                "`channels` must have equal lengths, got "
                f"{[spectrogram.length for spectrogram in spectrograms]}."
            )
        for pieces in _filter(spectrograms, self._mask_blocks(spectrograms)):
            yield np.stack(pieces)

    def _block_frames(self, spectrogram: Spectrogram) -> tuple[int, int]:
        """Frames in a block of a recording, and how many the next block shares."""
        frames_per_second = spectrogram.sample_rate / spectrogram.hop_length
        overlap = round(self._block_overlap * frames_per_second)
        if self.block_seconds is None:
            return spectrogram.n_frames, overlap
        return max(round(self.block_seconds * frames_per_second), 1) + overlap, overlap

    def _noise_profile(self, noise: Any) -> np.ndarray | None:
        """Power of a noise-only recording, shape (N, F), or None without one."""
        if noise is None:
            return None
        if isinstance(noise, list | tuple) and len(noise) == 1:
            noise = noise[0]
        if is_spectrogram(noise):
            [spectrogram] = self._open([noise], of="`noise`, utterance")
        else:
            spectrogram = Spectrogram.from_waveform(
                noise, self.stft_.framing(), self.stft_.sample_rate, name="`noise`"
            )
        return power(spectrogram.frames())

    def _heard(self, V: np.ndarray) -> np.ndarray:
        """Power (N, F) that the mask of a recording is estimated from."""
        return Band(V).filled if self._fills_band else V

    def _run(
        self, function: Callable[..., Result], calls: Sequence[tuple], label: str
    ) -> list[Result]:
        """Results for all recordings, found side by side, in batches, or in turn.

        Parameters
        ----------
        function : callable
            It takes the blocks of a recording, as :meth:`_mask_blocks` yields them, and
            what belongs to the recording.
        calls : sequence of tuple
            What belongs to each: first the spectrogram.
        label : str
            What people see.
        """
        results: Iterator[tuple[int, Result]]
        n_at_once = self._batch_frames()
        if n_at_once > 0:
            results = self._run_in_batches(function, calls, n_at_once)
        elif len(calls) == 1 or effective_n_jobs(self.n_jobs) == 1:
            results = enumerate(_run_one(self, function, *call) for call in calls)
        else:
            tasks = [(function, *call) for call in calls]
            results = enumerate(run_tasks(_run_one, tasks, self.n_jobs, shared=(self,)))
        collected = {}
        with Progress(len(calls), label, enabled=bool(self.verbose)) as progress:
            for k, result in results:
                collected[k] = result
                progress.advance()
        return [collected[k] for k in range(len(calls))]

    def _run_in_batches(
        self, function: Callable[..., Result], calls: Sequence[tuple], n_at_once: int
    ) -> Iterator[tuple[int, Result]]:
        """Yield numbers of recordings and their results, in an order of its own."""
        spectrograms = [spectrogram for spectrogram, *_ in calls]
        for batch in self._batches(spectrograms, n_at_once):
            if len(batch) == 1:
                yield batch[0], _run_one(self, function, *calls[batch[0]])
                continue
            read = [
                BlockSpectra([spectrograms[k]], 0, spectrograms[k].n_frames)
                for k in batch
            ]
            powers = [self._heard(one.power(self.stft_.n_fft)) for one in read]
            estimates = self._estimate_masks(
                powers, [np.random.default_rng(self.seed_) for _ in batch]
            )
            for k, spectra, V, estimate in zip(
                batch, read, powers, estimates, strict=True
            ):
                checked = check_estimate(estimate, V.shape)
                known = spectra, self._limited(checked, V.dtype)
                blocks = self._mask_blocks([spectrograms[k]], known)
                yield k, function(blocks, *calls[k])

    def _batches(
        self, spectrograms: list[Spectrogram], n_at_once: int
    ) -> Iterator[list[int]]:
        """Yield the numbers of recordings that are enhanced together.

        Those of several blocks, which hand on a state, stay alone. Others are padded to
        the length of the longest, which is at most twice their own.
        """
        n_frames = [spectrogram.n_frames for spectrogram in spectrograms]
        batch: list[int] = []
        for k in sorted(range(len(n_frames)), key=lambda k: -n_frames[k]):
            if self._block_end(spectrograms[k], 0) < n_frames[k]:
                yield [k]
                continue
            longest = n_frames[batch[0]] if batch else n_frames[k]
            too_many = (len(batch) + 1) * longest > n_at_once
            if batch and (too_many or 2 * n_frames[k] < longest):
                yield batch
                batch = []
            batch.append(k)
        if batch:
            yield batch

    def _block_end(self, spectrogram: Spectrogram, start: int) -> int:
        """Frame behind the block of a recording that begins at some frame."""
        size, _ = self._block_frames(spectrogram)
        # A remainder too short to learn anything from joins the last block.
        if spectrogram.n_frames - start - size <= size // 4:
            return spectrogram.n_frames
        return start + size

    def _mask_blocks(
        self,
        channels: Sequence[Spectrogram],
        known: tuple[BlockSpectra, MaskEstimate] | None = None,
    ) -> Blocks:
        """Yield the blocks of a recording in order: spectra, and mask.

        Recordings at a multiple of the enhancer's rate have frames of more bins at the
        same times: the mask is found in the bins of its band.

        The frames of the masks follow one another without gap or overlap. Where blocks
        were estimated with an overlap, the masks in it are cross-faded: since frames
        lie on one grid, nothing can click. The spectra and the mask of a recording of
        one block may be `known` already.
        """
        n_frames = channels[0].n_frames
        _, overlap = self._block_frames(channels[0])
        rng = np.random.default_rng(self.seed_)
        before: tuple[np.ndarray, Any] | None = None
        state, start = None, 0
        while True:
            stop = self._block_end(channels[0], start)
            if known is None:
                spectra = BlockSpectra(channels, start, stop)
                estimate = self._estimate_block(spectra, rng, state)
            else:
                spectra, estimate = known
            mask, mask_std = estimate.mask, estimate.mask_std
            if before is not None:
                mask = fade_in(before[0], mask)
                mask_std = None if mask_std is None else fade_in(before[1], mask_std)
            n_kept = stop - start - (overlap if stop < n_frames else 0)
            state = estimate.state
            if overlap:
                rest = None if mask_std is None else mask_std[n_kept:].copy()
                before = mask[n_kept:].copy(), rest
            yield (
                spectra,
                MaskEstimate(
                    mask[:n_kept],
                    None if mask_std is None else mask_std[:n_kept],
                    estimate.n_iter,
                    estimate.history,
                ),
            )
            if stop == n_frames:
                return
            start += n_kept
            # A block is let go of before the next one is read.
            del spectra, estimate, mask, mask_std

    def _estimate_block(
        self, spectra: BlockSpectra, rng: np.random.Generator, state: Any
    ) -> MaskEstimate:
        V = spectra.power(self.stft_.n_fft)
        return self._limited(self._estimate(V, rng, state), V.dtype)

    def _estimate(
        self,
        V: np.ndarray,
        rng: np.random.Generator,
        state: Any,
        device: str | None = None,
    ) -> MaskEstimate:
        """Ask the method for its mask, and check what it returns."""
        ask: Callable[..., Any] = self._estimate_mask
        handed_down = {}
        if device is not None and self._takes_device:
            handed_down["device"] = device
        return check_estimate(ask(self._heard(V), rng, state, **handed_down), V.shape)

    def _device(self, device: str | None = None) -> str:
        """Device to compute on: the one that is handed down, or the enhancer's own.

        Only for enhancers with a parameter `device`.
        """
        return check_device(self.device if device is None else device, self.n_jobs)

    def _limited(self, estimate: MaskEstimate, dtype: np.dtype) -> MaskEstimate:
        """The same with a mask that attenuates no more than it may."""
        mask = estimate.mask.astype(dtype, copy=False)
        if self.attenuation_limit is not None:
            least = 10 ** (-self.attenuation_limit / 20)
            mask = np.maximum(mask, dtype.type(least))
        return replace(estimate, mask=mask)


#: Blocks of a recording, in order: spectra, and the mask of the first of their frames.
Blocks = Iterator[tuple[BlockSpectra, MaskEstimate]]


def _filter(
    channels: Sequence[Spectrogram], blocks: Blocks
) -> Iterator[list[np.ndarray]]:
    """Yield the next finished samples of each channel."""
    first = channels[0]
    outputs: list[OverlapAdd] | None = None
    for frames in _masked(blocks):
        if outputs is None:
            outputs = [OverlapAdd(first.framing, first.length, X.dtype) for X in frames]
        yield [output.push(X) for output, X in zip(outputs, frames, strict=True)]


def _masked(blocks: Blocks) -> Iterator[list[np.ndarray]]:
    """Yield the next masked frames (N, F) of each channel."""
    for spectra, estimate in blocks:
        yield from spectra.masked(estimate.mask)
        del spectra, estimate  # before the next block is read


def _run_one(
    enhancer: BaseEnhancer,
    function: Callable[..., Result],
    spectrogram: Spectrogram,
    *rest: Any,
) -> Result:
    return function(enhancer._mask_blocks([spectrogram]), spectrogram, *rest)


def _enhance(blocks: Blocks, spectrogram: Spectrogram, spectral: bool) -> Any:
    if spectral:
        frames = [X for [X] in _masked(blocks)]
        return spectrogram.replace(np.concatenate(frames).T)
    return restore_dtype(_samples(blocks, spectrogram), spectrogram.dtype)


def _samples(blocks: Blocks, spectrogram: Spectrogram) -> np.ndarray:
    """Enhanced waveform, as floats."""
    return np.concatenate([piece for [piece] in _filter([spectrogram], blocks)])


def _separate(blocks: Blocks, spectrogram: Spectrogram, spectral: bool) -> Separation:
    frames, estimates = [], []
    for spectra, estimate in blocks:
        frames += [X for [X] in spectra.masked(estimate.mask)]
        estimates.append(estimate)
    filtered = spectrogram.replace(np.concatenate(frames).T)
    stds: list[Any] = [estimate.mask_std for estimate in estimates]
    enhanced: Any
    noise: Any
    if spectral:
        enhanced = filtered
        noise = spectrogram.replace(spectrogram.data - filtered.data)
    else:
        enhanced, noise = _split(spectrogram, filtered)
    return Separation(
        enhanced=enhanced,
        noise=noise,
        mask=np.concatenate([estimate.mask for estimate in estimates]).T,
        mask_std=None if stds[0] is None else np.concatenate(stds).T,
        n_iter=sum(estimate.n_iter for estimate in estimates),
        history=[value for estimate in estimates for value in estimate.history],
    )


def _split(noisy: Spectrogram, filtered: Spectrogram) -> tuple[np.ndarray, np.ndarray]:
    """Speech and noise as waveforms that sum to the input, in 16 bits too."""
    enhanced = filtered.to_waveform()
    if noisy.dtype == np.int16:
        noise = noisy.to_waveform().astype(np.int32) - enhanced
        return enhanced, noise.clip(-32768, 32767).astype(np.int16)
    return enhanced, restore_dtype(noisy.samples() - filtered.samples(), noisy.dtype)


def _score(blocks: Blocks, noisy: Spectrogram, clean: Spectrogram) -> float:
    return si_sdr(clean.samples(), _samples(blocks, noisy))
