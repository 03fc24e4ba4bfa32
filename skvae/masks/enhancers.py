"""Masks that networks learn to predict from noisy speech: supervised enhancers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.base import BaseEnhancer
from skvae.enhancement import MaskEstimate
from skvae.masks.losses import TARGETS
from skvae.signal.framing import at_level
from skvae.signal.spectrogram import Spectrogram
from skvae.training.on_mixtures import MixtureTrained
from skvae.training.parameters import LayerSizes, Training, layer_sizes
from skvae.utils.device import check_device, torch_generator
from skvae.utils.parameters import Number, Option
from skvae.utils.threads import one_thread

if TYPE_CHECKING:
    import torch
    from torch import nn

    from skvae.masks.networks import MaskConfig
    from skvae.training.noisy_batches import Mixtures


class _MaskNetworkEnhancer(MixtureTrained, BaseEnhancer):
    """What enhancers with a mask network share."""

    _block_overlap = 1.0
    _fills_band = True
    _takes_device = True
    _parameter_ranges = {
        "hidden_layer_sizes": LayerSizes(),
        "n_mels": Number(low=1, integer=True),
    }

    @property
    def _network_class(self) -> type[nn.Module]:
        from skvae.masks.networks import MaskNetwork

        return MaskNetwork

    @abstractmethod
    def _make_config(self, n_bins: int) -> MaskConfig:
        """Sizes of the network."""

    @abstractmethod
    def _error(self, mask: torch.Tensor, batch: Mixtures) -> tuple[torch.Tensor, int]:
        """Mean loss of the frames, and their number."""

    def _build(self, config: MaskConfig, state: Mapping[str, np.ndarray]) -> Any:
        from skvae.masks.networks import mask_network_from

        return mask_network_from(config, state)

    def _fit(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        from skvae.masks.networks import initial_mask_network
        from skvae.training.precision import autocast

        device = check_device(self.device)
        config = self._make_config(self.stft_.framing().n_bins)
        self._check_start(config)
        precision = self._training.precision
        training, validation = self._split(self._sources(noisy, clean), rng)
        with one_thread():
            continued = self._continues()
            if continued:
                network = self._build(config, self.state_)
            else:
                network = initial_mask_network(config, torch_generator(rng))
                self._fit_bands(network.features, training, rng)
            network.to(device)

            def loss(
                batch: Mixtures, generator: torch.Generator, is_training: bool
            ) -> tuple[torch.Tensor, int]:
                dropout = generator if is_training else None
                with autocast(device, precision):
                    mask = network(batch.noisy, batch.packing(), dropout)
                return self._error(mask.float(), batch)

            self._train_on_mixtures(
                network,
                loss,
                training,
                validation,
                rng,
                data=clean if noisy is None else [*noisy, *clean],
                continued=continued,
            )

    def _estimate_mask(
        self,
        V: np.ndarray,
        rng: np.random.Generator,
        state: Any,
        device: str | None = None,
    ) -> MaskEstimate:
        import torch

        device = self._device(device)
        with one_thread(), torch.inference_mode():
            # A mean power of one, as in training.
            power = torch.from_numpy(at_level(V, 1.0).astype(np.float32))
            mask = self._network(device)(power.to(device))
        return MaskEstimate(mask.cpu().numpy())


class DNNMask(_MaskNetworkEnhancer):
    r"""Mask by a dense network that sees a frame and its neighbours (DNN-IRM).

    It learns the ideal ratio mask from the logarithms of mel bands [1]_.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(512, 512, 512, 512, 512)
        Number of rectified linear units of each layer.
    n_mels : int, default=100
        Bands.
    context : int, default=11
        Frames that it sees at once: an odd number, the frame itself in the middle.
    exponent : float, default=0.5
        Of the ideal mask, :math:`(|s|^2 / (|s|^2 + |n|^2))^\text{exponent}`: with 1 it
        is the Wiener gain.
    dropout : float, default=0.0
        Share of hidden units left out in training.
    mixer : Mixer, default=None
        What `fit` mixes clean speech with where it gets no noisy speech: each time it
        is looked at with another noise. None means ``Mixer()``, synthetic noise.
    training : Training, default=None
        Parameters of the training, such as ``Training(max_iter=40)``; None means the
        defaults, which :class:`Training` lists.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU where there is one.
    stft : STFT, default=None
        Analysis of waveforms; None means ``STFT()``. Spectrograms bring their own.
    attenuation_limit : float, default=None
        The noise is lowered by at most so many dB; None means no limit.
    block_seconds : float, default=60.0
        Longer recordings are enhanced in blocks of this length; None means never.
    random_state : int, Generator or None, default=None
        Where `seed_` comes from.
    n_jobs : int, default=None
        Number of utterances that are enhanced side by side.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    state_ : dict of str to ndarray
        The weights.
    config_ : MaskConfig
        The sizes of the network.
    loss_curve_ : list of float
        Mean loss of a frame in each epoch.
    validation_loss_curve_ : list of float
        The same for the validation utterances, after each epoch.
    best_loss_ : float
        Validation loss of the weights; without validation the last training loss.
    n_iter_ : int
        Epochs of this `fit`.
    stft_ : STFT
        The analysis that is used.
    seed_ : int
        All random numbers come from it. On a CPU the same seed gives the same weights.
    n_features_in_ : int
        Number of samples of each row, where `fit` saw a 2-D array.

    See Also
    --------
    BiLSTMMask : Sees whole utterances.

    References
    ----------
    .. [1] Y. Bando, M. Mimura, K. Itoyama, K. Yoshii and T. Kawahara, "Statistical
       speech enhancement based on probabilistic integration of variational autoencoder
       and non-negative matrix factorization", ICASSP 2018.

    Examples
    --------
    >>> from skvae import DNNMask, Training
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(8, snr=0, random_state=0)
    >>> training = Training(max_iter=30, learning_rate=5e-3, averaging=0.9)
    >>> enhancer = DNNMask((64, 64), training=training, random_state=0)
    >>> _ = enhancer.fit(noisy[2:], clean[2:])
    >>> enhancer.score(noisy[:2], clean[:2]) > mean_si_sdr(clean[:2], noisy[:2])
    True
    """

    _parameter_ranges = {
        "context": Number(low=1, integer=True),
        "exponent": Number(low=0, open_low=True),
    }

    def __init__(
        self,
        hidden_layer_sizes: int | tuple[int, ...] = (512,) * 5,
        *,
        n_mels: int = 100,
        context: int = 11,
        exponent: float = 0.5,
        dropout: float = 0.0,
        mixer: Any = None,
        training: Training | None = None,
        device: str = "cpu",
        stft: Any = None,
        attenuation_limit: float | None = None,
        block_seconds: float | None = 60.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_mels = n_mels
        self.context = context
        self.exponent = exponent
        self.dropout = dropout
        self.mixer = mixer
        self.training = training
        self.device = device
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.context % 2 == 0:
            raise ValueError(f"`context` must be an odd number, got {self.context}.")

    def _make_config(self, n_bins: int) -> MaskConfig:
        from skvae.masks.networks import MaskConfig

        return MaskConfig(
            n_bins,
            int(self.n_mels),
            layer_sizes(self.hidden_layer_sizes),
            architecture="dense",
            context=int(self.context),
            dropout=float(self.dropout),
        )

    def _error(self, mask: torch.Tensor, batch: Mixtures) -> tuple[torch.Tensor, int]:
        from skvae.masks.losses import ratio_error
        from skvae.training.layers import frame_mean

        return frame_mean(ratio_error(mask, batch, self.exponent), batch.lengths)


class BiLSTMMask(_MaskNetworkEnhancer):
    """Mask by bidirectional LSTMs that see the whole utterance.

    Parameters
    ----------
    target : {"perceptual", "psa", "msa"}, default="perceptual"
        What the masked spectrum is to approximate: the magnitude of the speech
        ("msa"), that magnitude times the cosine of the phases' difference ("psa") [1]_
        [2]_, or both after compression, together with the SI-SDR.
    hidden_layer_sizes : int or tuple of int, default=(128, 128, 128)
        Number of units of each layer in each direction; (512, 512, 512) in [1]_.
    n_mels : int, default=96
        Bands, of which the network reads the logarithms.
    dropout : float, default=0.0
        Share of hidden units left out in training; 0.2 in [1]_.
    mixer : Mixer, default=None
        What `fit` mixes clean speech with where it gets no noisy speech: each time it
        is looked at with another noise. None means ``Mixer()``, synthetic noise.
    training : Training, default=None
        Parameters of the training, such as ``Training(max_iter=40)``; None means the
        defaults, which :class:`Training` lists.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU where there is one.
    stft : STFT, default=None
        Analysis of waveforms; None means ``STFT()``. Spectrograms bring their own.
    attenuation_limit : float, default=None
        The noise is lowered by at most so many dB; None means no limit.
    block_seconds : float, default=60.0
        Longer recordings are enhanced in blocks of this length; None means never.
    random_state : int, Generator or None, default=None
        Where `seed_` comes from.
    n_jobs : int, default=None
        Number of utterances that are enhanced side by side.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    state_ : dict of str to ndarray
        The weights.
    config_ : MaskConfig
        The sizes of the network.
    loss_curve_ : list of float
        Mean loss of a frame in each epoch.
    validation_loss_curve_ : list of float
        The same for the validation utterances, after each epoch.
    best_loss_ : float
        Validation loss of the weights; without validation the last training loss.
    n_iter_ : int
        Epochs of this `fit`.
    stft_ : STFT
        The analysis that is used.
    seed_ : int
        All random numbers come from it. On a CPU the same seed gives the same weights.
    n_features_in_ : int
        Number of samples of each row, where `fit` saw a 2-D array.

    See Also
    --------
    DNNMask : Sees a few frames.

    References
    ----------
    .. [1] Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement
       with a denoising variational autoencoder", INTERSPEECH 2020.
    .. [2] H. Erdogan, J. R. Hershey, S. Watanabe and J. Le Roux, "Phase-sensitive and
       recognition-boosted speech separation using deep recurrent neural networks",
       ICASSP 2015.

    Examples
    --------
    >>> from skvae import BiLSTMMask, Training
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(8, snr=0, random_state=0)
    >>> enhancer = BiLSTMMask("psa", 32, training=Training(20), random_state=0)
    >>> _ = enhancer.fit(noisy[2:], clean[2:])
    >>> enhancer.score(noisy[:2], clean[:2]) > mean_si_sdr(clean[:2], noisy[:2])
    True
    """

    _parameter_ranges = {"target": Option(*TARGETS)}

    def __init__(
        self,
        target: str = "perceptual",
        hidden_layer_sizes: int | tuple[int, ...] = (128,) * 3,
        *,
        n_mels: int = 96,
        dropout: float = 0.0,
        mixer: Any = None,
        training: Training | None = None,
        device: str = "cpu",
        stft: Any = None,
        attenuation_limit: float | None = None,
        block_seconds: float | None = 60.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.target = target
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_mels = n_mels
        self.dropout = dropout
        self.mixer = mixer
        self.training = training
        self.device = device
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _make_config(self, n_bins: int) -> MaskConfig:
        from skvae.masks.networks import MaskConfig

        return MaskConfig(
            n_bins,
            int(self.n_mels),
            layer_sizes(self.hidden_layer_sizes),
            dropout=float(self.dropout),
        )

    def _error(self, mask: torch.Tensor, batch: Mixtures) -> tuple[torch.Tensor, int]:
        from skvae.masks.losses import mask_error

        return mask_error(mask, batch, self.target)
