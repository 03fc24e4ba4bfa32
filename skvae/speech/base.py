"""Base of speech models, which encode spectra and decode variances of speech."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skvae.signal.spectrogram import Spectrogram
from skvae.signal.types import Utterances, with_callbacks
from skvae.signal.utterances import Kind, read_clean, read_collection, require_clean
from skvae.speech.fast_prior import fast_prior
from skvae.speech.losses import negative_bound
from skvae.speech.prior import SpeechPrior
from skvae.training.clean_batches import Utterance
from skvae.training.estimator import TrainedEstimator
from skvae.training.noisy_batches import Pair, mixtures_in_order
from skvae.training.on_mixtures import TrainedOnMixtures
from skvae.training.parts import Data
from skvae.utils.device import check_device, torch_generator
from skvae.utils.learned import Scalar
from skvae.utils.modes import default_modes
from skvae.utils.parameters import check_real
from skvae.utils.random import check_generator, draw_seed
from skvae.utils.threads import one_thread

#: Least `floor`: near the least variance that a decoder outputs, exp(-25).
LEAST_FLOOR = 1e-10

#: Range of `level_`, around the levels of about 1 to 10 that models are trained with.
MIN_LEVEL, MAX_LEVEL = 1e-6, 1e6

#: Number of draws of the latent variables over which a score is averaged.
_SCORE_DRAWS = 4


class SpeechModel(TrainedEstimator):
    """Base of speech models, which have an encoder and a decoder.

    Attributes
    ----------
    level_ : float
        Mean of :math:`|X|^2` that utterances are scaled to before they are encoded.
    """

    _learned = {"level_": Scalar(MIN_LEVEL, MAX_LEVEL)}

    level_: float

    #: Whether the encoder reads mixtures rather than clean speech.
    reads_mixtures: bool = False

    #: Whether the prior of the latent variables is standard normal.
    has_standard_prior: bool = True

    @abstractmethod
    def _choose_level(self) -> float:
        """Return the level of utterances outside of training."""

    @abstractmethod
    def _reads_sequences(self) -> bool:
        """Return whether an utterance must be encoded as a whole."""

    def _fit_part(self, data: Data, rng: np.random.Generator) -> Any:
        """Return the fitted estimator that the network starts from, if there is one."""
        return None

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    @with_callbacks
    @default_modes()
    def fit(self, X: Utterances, y: Utterances | None = None) -> Self:
        """Fit the speech model.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Clean speech if `y` is None, else noisy speech. A model of clean speech uses
            only the STFT of noisy speech.
        y : list of waveforms, 2-D array, or None, default=None
            Clean speech of the same lengths.

        Returns
        -------
        SpeechModel
            Itself.
        """
        items, kind = read_collection(self, X, reset=True)
        self._check()
        stft = self._choose_stft(items[0] if kind.spectral else None)
        config = self._make_config(stft)
        self._check_start(config)
        self.stft_ = stft
        data = Data(None, self._open(items))
        clean_items = read_clean(y, len(data.clean))
        if clean_items is not None:
            data = Data(data.clean, self._open_clean(clean_items, data.clean))
        self.seed_ = draw_seed(self.random_state)
        self.level_ = self._choose_level()
        rng = np.random.default_rng(self.seed_)
        with one_thread():
            part = self._fit_part(data, rng)
            self._fit_network(data, config, rng, part)
        return self

    @default_modes()
    def transform(self, X: Any) -> Any:
        """Encode speech: return the posterior means of the latent variables.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Clean or noisy speech, depending on the model.

        Returns
        -------
        list of ndarray of float32, each of shape (n_frames, n_latent), or one array
            For a 2-D array one array of shape (n_utterances, n_frames, n_latent).
        """

        def means(utterance: Utterance) -> np.ndarray:
            blocks = self._encoder_blocks(utterance)
            return np.concatenate(
                [network.encode(block)[0].cpu().numpy() for block in blocks]
            )

        utterances, kind = self._utterances(X)
        network = self.networks(self.device)
        with one_thread(), torch.inference_mode():
            return collect([means(utterance) for utterance in utterances], kind)

    @default_modes()
    def inverse_transform(self, Z: Any) -> Any:
        """Decode latent variables: return the variances of speech.

        Parameters
        ----------
        Z : list of arrays, each of shape (n_frames, n_latent), or one 3-D array
            Latent variables.

        Returns
        -------
        list of ndarray of float32, each of shape (n_frames, n_bins), or one array
            Variances in the unit of the model, including the floor. For an array one
            array.
        """
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

    @default_modes()
    def sample(self, n_frames: int = 100, random_state: Any = None) -> Spectrogram:
        """Draw spectra from the model, each with its own latent variables.

        Parameters
        ----------
        n_frames : int, default=100
            Number of spectra.
        random_state : int, Generator or None, default=None
            Seed or generator of the draws.

        Returns
        -------
        Spectrogram
            In the unit of the model. Its frames overlap, so the waveform of
            :class:`ISTFT` has another spectrogram.
        """
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
        """Return encoder and decoder as a PyTorch module, for use in a larger model.

        Parameters
        ----------
        device : str, default="cpu"
            PyTorch device of the module.
        dtype : {"float32", "float64"}, default="float32"
            Data type of the weights.

        Returns
        -------
        Module
            ``encode(power)`` returns mean and log-variance (..., N, L) for power
            (..., N, F) in the unit of the model; ``decode(z)`` returns the log-variance
            (..., N, F) of speech. Both are differentiable, and the weights are
            constants. Do not change the module, which is shared.

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
        V: Tensor,
        *,
        lengths: Tensor | None = None,
        edge: int | None = None,
        device: str = "cpu",
    ) -> SpeechPrior:
        """Return the model of the speech in a mixture or batch, for an inference.

        Parameters
        ----------
        V : Tensor of shape (N, F) or (B, N, F)
            Power of the mixture, in the unit of the model.
        lengths : Tensor of int, shape (B,), default=None
            Number of frames of each padded utterance, on the CPU.
        edge : int, default=None
            Number of bins, from the lowest on, that the inference uses; None means all.
        device : str, default="cpu"
            PyTorch device of the computation.

        Returns
        -------
        SpeechPrior
            Functions of the bins below the edge.
        """
        return fast_prior(self.networks(device), lengths, edge)

    def _utterances(self, X: Any, y: Any = None) -> tuple[list[Utterance], Kind]:
        check_is_fitted(self)
        self._check()
        items, kind = read_collection(self, X)
        speech = self._open(items)
        clean_items = read_clean(y, len(speech))
        if clean_items is not None:
            speech = self._open_clean(clean_items, speech)
        return [Utterance(spectrogram) for spectrogram in speech], kind

    def _encoder_blocks(self, utterance: Utterance) -> Iterator[Tensor]:
        """Yield the power of an utterance in blocks that can be encoded separately."""
        device = check_device(self.device)
        blocks = utterance.blocks(self.level_)
        if self._reads_sequences():
            blocks = iter([np.concatenate(list(blocks))])
        for block in blocks:
            yield torch.from_numpy(block).to(device)

    def _score_frames(
        self, utterances: Iterable[Iterable[tuple[Tensor, Tensor]]]
    ) -> list[np.ndarray]:
        """Return the evidence lower bounds of the frames of each utterance.

        A block consists of the power to encode and the power of the clean speech, both
        of shape (N, F).
        """
        network = self.networks(self.device)
        generator = torch.Generator(check_device(self.device))

        def bound(heard: Tensor, speech: Tensor) -> np.ndarray:
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


class MixtureModel(TrainedOnMixtures, SpeechModel):
    """Base of speech models whose encoder reads noisy speech."""

    reads_mixtures = True

    @default_modes()
    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean evidence lower bound of a frame of clean speech.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Noisy speech, which is scaled to `level_` and encoded.
        y : list of waveforms or 2-D array
            Clean speech of the same lengths, which is decoded. It is required.

        Returns
        -------
        float
            Higher is better. Constant terms are omitted, so it is at most zero.
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
    ) -> Iterator[tuple[Tensor, Tensor]]:
        pair, device = Pair(noisy, clean), check_device(self.device)
        # The whole utterance is one sequence, with one level.
        for batch in mixtures_in_order([pair], pair.n_frames, self.seed_):
            heard, speech = batch.noisy[0].to(device), batch.clean[0].to(device)
            yield heard * self.level_, speech * self.level_


def collect(results: list[np.ndarray], kind: Kind) -> Any:
    """Return one array for the rows of an array, else a list."""
    equal = kind in (Kind.ARRAY, Kind.SPECTROGRAM_ARRAY)
    return np.stack(results) if equal else results
