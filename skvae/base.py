"""Base of all enhancers: fit, transform, separate, score, and long recordings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skvae.collection import collect
from skvae.enhancement import (
    Enhancement,
    MaskEstimate,
    Separation,
    check_estimate,
)
from skvae.estimator import JobCount, SpeechEstimator
from skvae.metrics import mean_defined
from skvae.signal.bandwidth import Band
from skvae.signal.misread import warn_if_misread
from skvae.signal.opening import open_spectrograms
from skvae.signal.spectrogram import Spectrogram, SpectrogramArray
from skvae.signal.stft import STFT
from skvae.signal.types import Utterances, Waveform, with_callbacks
from skvae.signal.utterances import (
    Kind,
    read_clean,
    read_collection,
    require_clean,
)
from skvae.utils.device import check_device
from skvae.utils.modes import default_modes, each_in_default_modes
from skvae.utils.parameters import Number, Range
from skvae.utils.random import draw_seed
from skvae.utils.waveforms import check_sample_rate

#: Upper limits of `attenuation_limit` in dB and of `block_seconds`: silence, and days.
MAX_ATTENUATION, MAX_SECONDS = 1000, 10**6


class BaseEnhancer(SpeechEstimator, ABC):
    """Base of all enhancers, which multiply a spectrogram by a mask.

    Subclasses define ``__init__``, which must include the six parameters below, and
    :meth:`_estimate_mask`. Those that learn also define :meth:`_fit`.

    Parameters
    ----------
    stft : STFT, default=None
        Analysis of waveforms. None means ``STFT()``. Spectrograms bring their own.
    attenuation_limit : float, default=None
        Maximum attenuation in dB. None means no limit.
    block_seconds : float, default=60.0
        Length of the blocks in which longer recordings are enhanced. None disables
        blocks.
    random_state : int, Generator or None, default=None
        Seed or generator from which `seed_` is drawn.
    n_jobs : int, default=None
        Number of utterances that are enhanced in parallel, as in scikit-learn.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    stft_ : STFT
        Analysis that is used.
    seed_ : int
        Seed of each utterance's own generator. Results depend neither on the order of
        the utterances nor on `n_jobs`.
    n_features_in_ : int
        Number of samples of each row, if `fit` saw a 2-D array.

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

    _parameter_ranges: ClassVar[Mapping[str, Range | None]] = {
        "attenuation_limit": Number(0, MAX_ATTENUATION, optional=True),
        "block_seconds": Number(0, MAX_SECONDS, open_low=True, optional=True),
        "n_jobs": JobCount(),
    }

    #: Seconds that neighboring blocks share. Their masks are cross-faded. Zero is for
    #: methods that process the frames in order and return all they remember as `state`.
    _block_overlap: float = 0.0

    #: Whether narrow-band input is filled first; for networks trained on the full band.
    _fills_band: bool = False

    #: Whether :meth:`_estimate_mask` takes a fourth argument, `device`: the name of a
    #: PyTorch device, or None for the enhancer's own.
    _takes_device: bool = False

    attenuation_limit: float | None
    block_seconds: float | None
    random_state: Any
    n_jobs: int | None
    device: str

    def _check_fitted(self, sample_rate: int | None) -> None:
        """Check what was fitted, the parameters, and a rate that the user passes."""
        check_is_fitted(self)
        self._check()
        self._check_rate(self.stft_, sample_rate)

    def _check_rate(self, stft: STFT, sample_rate: int | None) -> None:
        if sample_rate is not None and check_sample_rate(sample_rate) != (
            own_rate := check_sample_rate(stft.sample_rate)
        ):
            raise ValueError(
                f"`sample_rate` is {sample_rate}, but this {type(self).__name__} works "
                f"at {own_rate} Hz: resample X, or call skvae.reduce_noise, which "
                "takes recordings of any rate."
            )

    @abstractmethod
    def _estimate_mask(
        self, V: np.ndarray, rng: np.random.Generator, state: Any
    ) -> MaskEstimate:
        """Estimate the mask of a block of frames.

        Parameters
        ----------
        V : ndarray of shape (N, F)
            Power spectrogram ``|X|^2``, averaged over the channels.
        rng : Generator
            Random generator of the utterance.
        state : object or None
            The `state` that the estimate of the previous block contains. None for the
            first block.

        Returns
        -------
        MaskEstimate
        """

    def _batch_frames(self) -> int:
        """Maximum number of frames that :meth:`_estimate_masks` takes at once.

        Zero means that each recording is enhanced by itself, the fastest way on a CPU.
        """
        return 0

    def _estimate_masks(
        self, powers: list[np.ndarray], rngs: list[np.random.Generator]
    ) -> list[MaskEstimate]:
        """Estimate the masks of several recordings at once.

        Parameters
        ----------
        powers : list of ndarray, each of shape (N, F)
            Power spectrograms of whole recordings of similar lengths.
        rngs : list of Generator
            Random generators of the recordings.

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
        """Learn from clean speech and, if there is any, from the noisy speech."""

    @with_callbacks
    @default_modes()
    def fit(
        self,
        X: Utterances,
        y: Utterances | None = None,
        *,
        sample_rate: int | None = None,
    ) -> Self:
        """Fit the enhancer.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Noisy speech if `y` is passed, else clean speech. Noisy speech without `y`
            would be learned as clean speech.
        y : list of waveforms, 2-D array, or None, default=None
            Clean speech, with the same lengths as in X.
        sample_rate : int, default=None
            Sample rate of X in Hz. A rate that is not the enhancer's is an error; None
            means no check.

        Returns
        -------
        BaseEnhancer
            The fitted enhancer.
        """
        items, kind = read_collection(self, X, reset=True)
        self._check()
        stft = self._choose_stft(items[0] if kind.spectral else None)
        self._check_rate(stft, sample_rate)
        self.stft_ = stft
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
    def transform(
        self, X: NDArray[Any], *, sample_rate: int | None = None
    ) -> NDArray[Any]: ...

    @overload
    def transform(
        self, X: SpectrogramArray, *, sample_rate: int | None = None
    ) -> SpectrogramArray: ...

    @overload
    def transform(
        self, X: Sequence[Spectrogram], *, sample_rate: int | None = None
    ) -> list[Spectrogram]: ...

    @overload
    def transform(
        self, X: Sequence[Waveform], *, sample_rate: int | None = None
    ) -> list[NDArray[Any]]: ...

    @default_modes()
    def transform(self, X: Any, *, sample_rate: int | None = None) -> Any:
        """Enhance utterances.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Noisy speech.
        sample_rate : int, default=None
            Sample rate of X in Hz. A rate that is not the enhancer's is an error; None
            means no check.

        Returns
        -------
        list of ndarray, 2-D array, or list of Spectrogram
            Enhanced speech, of the same kind, lengths and dtypes as X.
        """
        self._check_fitted(sample_rate)
        items, kind = read_collection(self, X)
        method: Callable[[Enhancement], Any] = Enhancement.enhanced
        if kind.spectral:
            method = Enhancement.enhanced_spectrogram
        elif sample_rate is None:
            warn_if_misread(items, self.stft_)
        enhanced = collect(self, method, self._open(items), label="enhancing")
        if kind is Kind.ARRAY:
            return np.stack(enhanced)
        return (
            SpectrogramArray(enhanced) if kind is Kind.SPECTROGRAM_ARRAY else enhanced
        )

    @default_modes()
    def separate(
        self, X: Utterances, *, sample_rate: int | None = None
    ) -> list[Separation]:
        """Separate utterances into speech and noise, and return the masks too.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Noisy speech.
        sample_rate : int, default=None
            Sample rate of X in Hz. A rate that is not the enhancer's is an error; None
            means no check.

        Returns
        -------
        list of Separation
            Speech, noise, mask and history of each utterance. Speech and noise are
            waveforms or spectrograms, as in X.
        """
        self._check_fitted(sample_rate)
        items, kind = read_collection(self, X)
        method = Enhancement.separated
        if kind.spectral:
            method = Enhancement.separated_spectrograms
        return collect(self, method, self._open(items), label="separating")

    @default_modes()
    def score(
        self,
        X: Utterances,
        y: Utterances | None = None,
        *,
        sample_rate: int | None = None,
    ) -> float:
        """Return the mean SI-SDR of the enhanced utterances in dB; higher is better.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Noisy speech.
        y : list of waveforms or 2-D array
            Clean speech, with the same lengths as in X. Required.
        sample_rate : int, default=None
            Sample rate of X in Hz. A rate that is not the enhancer's is an error; None
            means no check.

        Returns
        -------
        float
            Mean over all utterances whose clean speech is not silent.
        """
        self._check_fitted(sample_rate)
        items, _ = read_collection(self, X)
        utterances = self._open(items)
        clean = require_clean(y, len(utterances))
        opened = self._open_clean(clean, utterances)
        scores = collect(self, Enhancement.score, utterances, opened, label="scoring")
        return mean_defined(scores)

    @default_modes()
    def estimate_mask(
        self,
        V: np.ndarray,
        rng: np.random.Generator | None = None,
        state: Any = None,
        device: str | None = None,
    ) -> MaskEstimate:
        """Estimate the mask of a power spectrogram, e.g. to guide another method.

        The mask is the one that `transform` applies, but without `attenuation_limit`.
        The call changes nothing in the enhancer, so several threads may share it.

        Parameters
        ----------
        V : ndarray of float, shape (n_frames, n_bins)
            Power spectrogram of a recording, or of its next block.
        rng : Generator, default=None
            Random generator of the recording. None means a new one from `seed_`.
        state : object, default=None
            The `state` that the estimate of the previous block contains. None for the
            first block.
        device : str, default=None
            PyTorch device to compute on. None means the enhancer's own. Enhancers
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
        observer: Callable[[np.ndarray, np.ndarray], object] | None = None,
    ) -> Iterator[np.ndarray]:
        """Enhance one recording in bounded memory, a block at a time.

        One mask, found in the mean power of the channels, multiplies all channels. So
        the spatial image stays.

        Parameters
        ----------
        channels : sequence of waveforms
            Channels of one recording, of equal lengths.
        sample_rate : int, default=None
            Sample rate in Hz, a multiple of the enhancer's. None means the enhancer's.
            Above the enhancer's band, steady noise is lowered by at most 20 dB, alike
            in words and in pauses. Louder sounds follow the mask of the upper half of
            the band.
        observer : callable, default=None
            Function that is called with the power and the mask of each block, of shape
            (n_frames, n_bins), before `attenuation_limit` is applied.

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
        pieces = each_in_default_modes(
            Enhancement(self, spectrograms, observer=observer).pieces()
        )
        yield from map(np.stack, pieces)

    def _block_frames(self, spectrogram: Spectrogram) -> tuple[int, int]:
        """Number of frames in a block, and of those that the next block shares."""
        frames_per_second = spectrogram.sample_rate / spectrogram.hop_length
        overlap = round(self._block_overlap * frames_per_second)
        if self.block_seconds is None:
            return spectrogram.n_frames, overlap
        return max(round(self.block_seconds * frames_per_second), 1) + overlap, overlap

    def _estimate(
        self,
        V: np.ndarray,
        rng: np.random.Generator,
        state: Any,
        device: str | None = None,
    ) -> MaskEstimate:
        """Call :meth:`_estimate_mask` and check what it returns."""
        estimate_mask: Callable[..., Any] = self._estimate_mask
        options = {}
        if device is not None and self._takes_device:
            options["device"] = device
        return check_estimate(
            estimate_mask(self._filled(V), rng, state, **options), V.shape
        )

    def _filled(self, V: np.ndarray) -> np.ndarray:
        """Power (N, F), with empty bins filled if the method needs the full band."""
        return Band(V).filled if self._fills_band else V

    def _device(self, device: str | None = None) -> str:
        """Checked device: the one that is passed, or the parameter `device`."""
        return check_device(self.device if device is None else device, self.n_jobs)
