"""What models of speech share: latent variables of it, and its variances."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.signal.types import Utterances, with_callbacks
from skvae.signal.utterances import Kind, read_clean, read_collection, require_clean
from skvae.training.estimator import TrainedEstimator
from skvae.training.on_mixtures import MixtureTrained
from skvae.utils.device import check_device, torch_generator
from skvae.utils.learned import Scalar
from skvae.utils.parameters import check_real
from skvae.utils.random import check_generator, draw_seed
from skvae.utils.threads import one_thread

if TYPE_CHECKING:
    import torch

    from skvae.speech.prior import SpeechPrior
    from skvae.training.clean_batches import Utterance

#: Draws of the latent variables that a score is the mean of.
_SCORE_DRAWS = 4


class SpeechModel(TrainedEstimator):
    """Base of models of speech: an encoder, and a decoder of what it finds.

    Attributes
    ----------
    level_ : float
        Mean of :math:`|X|^2` that utterances are brought to before they are encoded.
    """

    _learned = {"level_": Scalar(low=0, open_low=True)}

    level_: float

    #: Whether the encoder reads mixtures rather than clean speech.
    reads_mixtures: bool = False

    #: Whether the prior of the latent variables is standard normal.
    has_standard_prior: bool = True

    @abstractmethod
    def _make_config(self, n_bins: int) -> Any:
        """Sizes of the networks."""

    @abstractmethod
    def _choose_level(self) -> float:
        """Level of utterances outside of training."""

    @abstractmethod
    def _reads_sequences(self) -> bool:
        """Whether an utterance must be encoded as a whole."""

    @abstractmethod
    def _train(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        config: Any,
    ) -> None:
        """Learn from clean speech, and from noisy speech beside it if there is any."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    @with_callbacks
    def fit(self, X: Utterances, y: Utterances | None = None) -> Self:
        """Learn what speech looks like.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Clean speech if `y` is None, else noisy speech: of that, a model of clean
            speech only takes which STFT is used.
        y : list of waveforms, 2-D array, or None, default=None
            Clean speech of the same lengths, as a pipeline passes it beside noisy X.

        Returns
        -------
        SpeechModel
            Itself.
        """
        items, kind = read_collection(self, X, reset=True)
        self._check()
        stft = self._choose_stft(items[0] if kind.spectral else None)
        config = self._make_config(stft.framing().n_bins)
        self._check_start(config)
        self.stft_ = stft
        noisy, clean = None, self._open(items)
        clean_items = read_clean(y, len(clean))
        if clean_items is not None:
            noisy, clean = clean, self._open_clean(clean_items, clean)
        self.seed_ = draw_seed(self.random_state)
        self.level_ = self._choose_level()
        with one_thread():
            self._train(noisy, clean, config)
        return self

    def transform(self, X: Any) -> Any:
        """Posterior means of the latent variables.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Speech, of the kind that the encoder reads.

        Returns
        -------
        list of ndarray of float32, each of shape (n_frames, n_latent), or one array
            The latter, of shape (n_utterances, n_frames, n_latent), for a 2-D array.
        """
        import torch

        def means(utterance: Utterance) -> np.ndarray:
            blocks = self._encoder_blocks(utterance)
            return np.concatenate(
                [network.encode(block)[0].cpu().numpy() for block in blocks]
            )

        utterances, kind = self._utterances(X)
        network = self.networks(self.device)
        with one_thread(), torch.inference_mode():
            return collect([means(utterance) for utterance in utterances], kind)

    def inverse_transform(self, Z: Any) -> Any:
        """Variances of speech with given latent variables.

        Parameters
        ----------
        Z : list of arrays, each of shape (n_frames, n_latent), or one 3-D array
            Latent variables.

        Returns
        -------
        list of ndarray of float32, each of shape (n_frames, n_bins), or one array
            Variances in the unit of the model, the floor included; one array for an
            array.
        """
        import torch

        check_is_fitted(self)
        self._check()
        network = self.networks(self.device)
        n_latent = self.config_.n_latent
        device = check_device(self.device)
        variances = []
        with one_thread(), torch.inference_mode():
            for k, item in enumerate(Z):
                z = np.asarray(item, dtype=np.float32)
                if z.ndim != 2 or z.shape[1] != n_latent:
                    raise ValueError(
                        f"latent variables {k} must have shape (n_frames, {n_latent}), "
                        f"got {z.shape}."
                    )
                if not np.isfinite(z).all():
                    raise ValueError(
                        f"latent variables {k} must be finite, but they contain NaN or "
                        "inf."
                    )
                log_variance = network.decode(torch.tensor(z, device=device))
                variances.append(log_variance.exp_().cpu().numpy())
        return np.stack(variances) if getattr(Z, "ndim", 0) == 3 else variances

    def sample(self, n_frames: int = 100, random_state: Any = None) -> Spectrogram:
        """Draw spectra from the model, each with its own latent variables.

        Parameters
        ----------
        n_frames : int, default=100
            How many.
        random_state : int, Generator or None, default=None
            Where the random numbers come from.

        Returns
        -------
        Spectrogram
            In the unit of the model. Its frames overlap, so that the waveform that
            :class:`ISTFT` makes of it has another spectrogram.
        """
        import torch

        check_is_fitted(self)
        framing = self.stft_.framing()
        check_real("n_frames", n_frames, low=framing.n_frames(1), integer=True)
        # The longest waveform that has as many frames.
        length = n_frames * framing.hop_length + framing.n_fft
        while framing.n_frames(length) > n_frames:
            length -= 1
        generator = torch_generator(check_generator(random_state))
        network = self.networks("cpu")
        shape = (n_frames, self.config_.n_latent)
        with one_thread(), torch.inference_mode():
            z = torch.randn(shape, generator=generator)
            deviation = (0.5 * network.decode(z)).exp_()
            white = torch.randn(
                deviation.shape, generator=generator, dtype=torch.complex64
            )
            frames = (deviation * white).numpy()
        return Spectrogram(
            frames.T,
            length=length,
            n_fft=framing.n_fft,
            hop_length=framing.hop_length,
            window=framing.window,
            center=framing.center,
            sample_rate=self.stft_.sample_rate,
        )

    def networks(self, device: str = "cpu", dtype: str = "float32") -> Any:
        """Encoder and decoder as PyTorch functions, for inference in a larger model.

        Parameters
        ----------
        device : str, default="cpu"
            Where they are.
        dtype : {"float32", "float64"}, default="float32"
            Their precision.

        Returns
        -------
        Module
            ``encode(power)`` gives mean and log-variance (..., N, L) of power
            (..., N, F) in the unit of the model, ``decode(z)`` the log-variance
            (..., N, F) of speech. Both are differentiable; the weights are constants.
            It is shared: do not change it.

        Examples
        --------
        >>> import numpy as np
        >>> import torch
        >>> from skvae import SpeechVAE, Training
        >>> vae = SpeechVAE(4, 16, training=Training(1), random_state=0)
        >>> vae = vae.fit([np.ones(16000)])
        >>> networks = vae.networks(dtype="float64")
        >>> networks.decode(torch.zeros(7, 4, dtype=torch.float64)).shape
        torch.Size([7, 513])
        """
        return self._network(device, dtype)

    def speech_prior(
        self,
        V: torch.Tensor,
        *,
        lengths: torch.Tensor | None = None,
        edge: int | None = None,
        device: str = "cpu",
    ) -> SpeechPrior:
        """Speech model of one mixture, or of a padded batch, for an inference.

        Parameters
        ----------
        V : Tensor of shape (N, F) or (B, N, F)
            Power of the mixture, in the unit of the model.
        lengths : Tensor of int, shape (B,), default=None
            Numbers of frames of padded utterances, on the CPU.
        edge : int, default=None
            Number of bins, from the lowest on, that the inference looks at; None means
            all.
        device : str, default="cpu"
            PyTorch device to compute on.

        Returns
        -------
        SpeechPrior
            Functions of the bins below the edge.
        """
        from skvae.speech.fast_prior import fast_prior

        return fast_prior(self.networks(device), lengths, edge)

    def _utterances(self, X: Any, y: Any = None) -> tuple[list[Utterance], Kind]:
        from skvae.training.clean_batches import Utterance

        check_is_fitted(self)
        self._check()
        items, kind = read_collection(self, X)
        speech = self._open(items)
        clean_items = read_clean(y, len(speech))
        if clean_items is not None:
            speech = self._open_clean(clean_items, speech)
        return [Utterance(spectrogram) for spectrogram in speech], kind

    def _encoder_blocks(self, utterance: Utterance) -> Iterator[torch.Tensor]:
        """Power of an utterance in pieces that the encoder may see by themselves."""
        import torch

        device = check_device(self.device)
        blocks = utterance.blocks(self.level_)
        if self._reads_sequences():
            blocks = iter([np.concatenate(list(blocks))])
        for block in blocks:
            yield torch.from_numpy(block).to(device)

    def _score_frames(
        self, utterances: Iterable[Iterable[tuple[torch.Tensor, torch.Tensor]]]
    ) -> list[np.ndarray]:
        """Evidence lower bounds of the frames of utterances.

        Of each block there is the power that is encoded, and the power of the clean
        speech, both (N, F).
        """
        import torch

        from skvae.speech.losses import negative_bound

        network = self.networks(self.device)
        generator = torch.Generator(check_device(self.device))

        def bound(heard: torch.Tensor, speech: torch.Tensor) -> np.ndarray:
            posterior = network.encode(heard)
            draws = [
                negative_bound(network, posterior, speech, generator)
                for _ in range(_SCORE_DRAWS)
            ]
            return -torch.stack(draws).mean(0).cpu().numpy()

        scores = []
        with one_thread(), torch.inference_mode():
            for blocks in utterances:
                generator.manual_seed(self.seed_)
                scores.append(np.concatenate([bound(*block) for block in blocks]))
        return scores


class MixtureModel(MixtureTrained, SpeechModel):
    """Base of models of speech whose encoder reads noisy speech."""

    reads_mixtures = True

    def score(self, X: Any, y: Any = None) -> float:
        """Mean evidence lower bound of a frame of clean speech; higher is better.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Noisy speech, which is brought to `level_`, and is what is encoded.
        y : list of waveforms or 2-D array
            The clean speech in it, which is to be explained, of the same lengths; an
            error says so if it is missing.

        Returns
        -------
        float
            Minus the loss, without what belongs to no bound: at most zero, up to the
            terms that do not depend on the model.
        """
        check_is_fitted(self)
        self._check()
        items, _ = read_collection(self, X)
        noisy = self._open(items)
        clean = self._open_clean(require_clean(y, len(noisy)), noisy)
        pairs = zip(noisy, clean, strict=True)
        scores = self._score_frames(self._pair_blocks(*pair) for pair in pairs)
        return float(np.concatenate(scores).mean(dtype=np.float64))

    def _pair_blocks(
        self, noisy: Spectrogram, clean: Spectrogram
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        from skvae.training.noisy_batches import Pair, mixtures_in_order

        pair, device = Pair(noisy, clean), check_device(self.device)
        # The whole utterance is one sequence, since it has one level.
        for batch in mixtures_in_order([pair], pair.n_frames, self.seed_):
            heard, speech = batch.noisy[0].to(device), batch.clean[0].to(device)
            yield heard * self.level_, speech * self.level_


def fitted_model(
    name: str,
    model: Any,
    *,
    noisy: list[Spectrogram] | None,
    clean: list[Spectrogram],
    device: str,
    rng: np.random.Generator,
) -> Any:
    """Estimator that another one takes as a parameter, fitted unless it is frozen.

    Parameters
    ----------
    name : str
        Name of the parameter.
    model : estimator or FrozenEstimator
        What was passed, or stands for None.
    noisy : list of Spectrogram, or None
        Noisy speech to fit it on.
    clean : list of Spectrogram
        Clean speech to fit it on.
    device : str
        PyTorch device that it is to use, if it uses any.
    rng : Generator
        Source of its seed, where it has none of its own.

    Returns
    -------
    estimator
        A clone, or the frozen one itself.

    Warns
    -----
    UserWarning
        If it is fitted already and not frozen.
    """
    if isinstance(model, FrozenEstimator):
        return model
    if hasattr(model, "stft_"):
        warnings.warn(
            f"`{name}` is fitted already and is fitted again: wrap it in "
            "sklearn.frozen.FrozenEstimator to use it as it is.",
            UserWarning,
            stacklevel=5,  # where its owner's fit is called, which scikit-learn wraps
        )
    model = clone(model)
    if "device" in model.get_params():
        model.set_params(device=device)
    if model.random_state is None:
        model.set_params(random_state=int(rng.integers(2**31)))
    return model.fit(clean) if noisy is None else model.fit(noisy, clean)


def agreed_stft(name: str, model: Any, chosen: STFT, *, is_default: bool) -> STFT:
    """STFT of an estimator that may have a frozen model as a parameter.

    Parameters
    ----------
    name : str
        Name of the parameter.
    model : object
        What was passed.
    chosen : STFT
        What the estimator would use without it.
    is_default : bool
        Whether nobody asked for that: then it is the model's instead.

    Returns
    -------
    STFT

    Raises
    ------
    ValueError
        If the frozen model was fitted with another one.

    Examples
    --------
    >>> from skvae.signal.stft import STFT
    >>> agreed_stft("vae", None, STFT(512), is_default=False)
    STFT(n_fft=512)
    """
    if not isinstance(model, FrozenEstimator):
        return chosen
    check_is_fitted(model)
    of_model = model.stft_
    if is_default:
        return clone(of_model)
    same = chosen.framing() == of_model.framing()
    if not same or chosen.sample_rate != of_model.sample_rate:
        raise ValueError(
            f"`{name}` was fitted with {of_model}, which differs from {chosen}: "
            "analyse with the model's parameters, or fit it anew."
        )
    return chosen


def collect(results: list[np.ndarray], kind: Kind) -> Any:
    """One array for the rows of an array, else a list."""
    equal = kind in (Kind.ARRAY, Kind.SPECTROGRAM_ARRAY)
    return np.stack(results) if equal else results
