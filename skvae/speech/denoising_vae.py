"""Speech model whose encoder reads noisy speech: the denoising VAE."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from torch import Tensor

from skvae.masks.band_split_mask import BandSplitMask
from skvae.masks.bilstm_mask import BiLSTMMask
from skvae.masks.losses import TARGETS
from skvae.signal.stft import STFT
from skvae.speech.base import LEAST_FLOOR, MixtureModel
from skvae.speech.denoising_network import (
    BALANCED_ALPHA,
    BandSplitDenoisingConfig,
    DenoisingConfig,
    DenoisingNetwork,
    denoising_loss,
    start_from_mask_network,
)
from skvae.speech.prior import NormalPrior, SpeechPrior
from skvae.speech.vae_network import start_at_mean
from skvae.training.clean_batches import Batch
from skvae.training.moments import measure
from skvae.training.networks import new_network
from skvae.training.noisy_batches import Mixtures
from skvae.training.on_mixtures import MixtureTrainer
from skvae.training.parameters import LayerSizes, Training, layer_sizes
from skvae.training.parts import Data, fitted_part
from skvae.utils.device import torch_generator
from skvae.utils.parameters import (
    MAX_UNITS,
    MAX_WEIGHT,
    Number,
    Option,
)


class DenoisingVAE(MixtureModel):
    r"""Variational autoencoder of clean speech with an encoder of noisy speech (DnVAE).

    From noisy speech, an encoder of LSTMs estimates the posterior of the
    latent variables of the clean speech, and a mask as a second task. A decoder
    computes the variance of the clean speech [1]_. Both process whole utterances.

    Parameters
    ----------
    n_latent : int, default=20
        Number of latent variables of a frame.
    hidden_layer_sizes : int or tuple of int, default=(128, 128, 128)
        Number of units of each layer of the encoder in each direction; (512, 512, 512)
        in [1]_. The decoder has a single layer, like the last one of the encoder. With
        a :class:`BandSplitMask` as `encoder`, only the decoder has these sizes.
    n_mels : int, default=96
        Number of mel bands, whose log power the encoder reads; not used with a
        :class:`BandSplitMask`.
    multitask : bool, default=True
        Whether the encoder also learns a mask, whose gradient does not pass through the
        decoder.
    target : {"perceptual", "psa", "msa"}, default="perceptual"
        Training target of the masked spectrum, as in :class:`BiLSTMMask`; "psa" in
        [1]_.
    alpha : float, default=None
        Weight of the error of the mask, which is summed over the bins. None means 5 for
        "perceptual" and 30 for the others; 1 in [1]_. See the notes.
    floor : float, default=1e-5
        Number that is added to the power of the clean speech, for mixtures with a mean
        power of one.
    encoder : BiLSTMMask or BandSplitMask, default=None
        Enhancer from whose layers the encoder starts, which shortens the training: a
        :class:`BiLSTMMask` of the same sizes, or a :class:`BandSplitMask`, whose
        network is the encoder. An unfitted one is cloned and fitted first; a
        ``FrozenEstimator`` of a fitted one is used as it is.
    dropout : float, default=0.0
        Fraction of the hidden units dropped in training; 0.2 in [1]_.
    mixer : Mixer, default=None
        Adds noise to clean speech when `fit` gets no noisy speech; every epoch uses new
        mixtures. None means ``Mixer()``, which adds synthetic noise.
    training : Training, default=None
        Parameters of the training, such as ``Training(max_iter=40)``; None means the
        defaults, which :class:`Training` lists.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU if there is one.
    stft : STFT, default=None
        Analysis of waveforms. None means that of a frozen `encoder`, or ``STFT()``.
        Spectrograms bring their own.
    random_state : int, Generator or None, default=None
        Seed or generator from which `seed_` is drawn.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    state_ : dict of str to ndarray
        Weights of the networks.
    config_ : DenoisingConfig
        Sizes of the networks.
    level_ : float
        Mean of :math:`|X|^2` that noisy utterances are scaled to: one.
    loss_curve_ : list of float
        Mean loss of a bin in each epoch.
    validation_loss_curve_ : list of float
        The same for the validation utterances after each epoch.
    best_loss_ : float
        Validation loss of the weights; without validation the last training loss.
    n_iter_ : int
        Number of epochs of the last `fit`.
    stft_ : STFT
        Analysis that is used.
    seed_ : int
        Seed of all random numbers. On a CPU the same seed gives the same weights.
    n_features_in_ : int
        Number of samples of each row, if `fit` saw a 2-D array.

    See Also
    --------
    SpeechVAE : Its encoder reads clean speech, and it is trained on clean speech only.
    NoiseAwareVAE : Its decoder is trained on clean speech only.

    Notes
    -----
    The loss is the negative lower bound (4)-(5) of [1]_ plus `alpha` times the error of
    the mask, which for "psa" is (6). Both are sums over the bins. The error of the mask
    grows with the square of the level and the bound does not; here all mixtures have a
    mean power of one. At that level the gradient of the bound in the encoder is 6 times
    as long as that of (6) at the beginning of training, and up to 60 times later. With
    ``alpha=1``, as in [1]_ for another, unknown level, masks hardly learn. With the
    default both gradients have about the same length.

    References
    ----------
    .. [1] Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement
       with a denoising variational autoencoder", INTERSPEECH 2020.

    Examples
    --------
    >>> from skvae import DenoisingVAE, Training
    >>> from skvae.datasets import make_dataset
    >>> noisy, clean = make_dataset(6, snr=0, random_state=0)
    >>> vae = DenoisingVAE(4, 16, training=Training(2), random_state=0)
    >>> Z = vae.fit(noisy[1:], clean[1:]).transform(noisy[:1])
    >>> [variance.shape[1] for variance in vae.inverse_transform(Z)]
    [513]
    >>> vae.score(noisy[:1], clean[:1]) < 0
    True
    """

    has_standard_prior = False

    _network_class = DenoisingNetwork
    _parts = ("encoder",)
    _parameter_ranges = {
        "n_latent": Number(1, MAX_UNITS, integer=True),
        "hidden_layer_sizes": LayerSizes(),
        "n_mels": Number(1, MAX_UNITS, integer=True),
        "multitask": Option(True, False),
        "target": Option(*TARGETS),
        "alpha": Number(0, MAX_WEIGHT, open_low=True, optional=True),
        "floor": Number(LEAST_FLOOR, MAX_WEIGHT),
    }

    def __init__(
        self,
        n_latent: int = 20,
        hidden_layer_sizes: int | tuple[int, ...] = (128,) * 3,
        *,
        n_mels: int = 96,
        multitask: bool = True,
        target: str = "perceptual",
        alpha: float | None = None,
        floor: float = 1e-5,
        encoder: Any = None,
        dropout: float = 0.0,
        mixer: Any = None,
        training: Training | None = None,
        device: str = "cpu",
        stft: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.n_latent = n_latent
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_mels = n_mels
        self.multitask = multitask
        self.target = target
        self.alpha = alpha
        self.floor = floor
        self.encoder = encoder
        self.dropout = dropout
        self.mixer = mixer
        self.training = training
        self.device = device
        self.stft = stft
        self.random_state = random_state
        self.verbose = verbose

    def speech_prior(
        self,
        V: Tensor,
        *,
        lengths: Tensor | None = None,
        edge: int | None = None,
        device: str = "cpu",
        sigma_z: float = 0.1,
    ) -> SpeechPrior:
        r"""Return the model of the speech in a mixture or batch, for an inference.

        The prior of the latent variables is normal with the means of the encoder and
        its variances plus :math:`\sigma_z^2`, (9) of the paper.

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
        sigma_z : float, default=0.1
            Standard deviation of the latent variables around the encoder's estimate.

        Returns
        -------
        SpeechPrior
            Its `encode` returns the estimate for `V`, whatever its argument.
        """
        network = self.networks(device)
        mean, log_variance, mask = network.estimate(V, lengths)
        return SpeechPrior(
            lambda power: (mean, log_variance),
            lambda z: network.decode(z, lengths)[..., :edge],
            decodes_framewise=False,
            latent=NormalPrior(mean, log_variance.exp() + sigma_z**2),
            mask=None if mask is None else mask[..., :edge],
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        encoder = self.encoder
        if isinstance(encoder, FrozenEstimator):
            encoder = encoder.estimator
        if encoder is None:
            return
        if isinstance(encoder, BandSplitMask):
            return
        sizes = layer_sizes(self.hidden_layer_sizes)
        if (
            not isinstance(encoder, BiLSTMMask)
            or layer_sizes(encoder.hidden_layer_sizes) != sizes
            or encoder.n_mels != self.n_mels
        ):
            raise ValueError(
                "`encoder` must be None, a BandSplitMask or a "
                "BiLSTMMask(hidden_layer_sizes="
                f"{sizes}, n_mels={self.n_mels}), got {self.encoder!r}."
            )

    def _make_config(self, stft: STFT) -> DenoisingConfig:
        n_bins = stft.framing().n_bins
        sizes = int(self.n_latent), layer_sizes(self.hidden_layer_sizes)
        options: dict[str, Any] = {
            "with_mask": bool(self.multitask),
            "floor": float(self.floor),
            "dropout": float(self.dropout),
        }
        encoder = self.encoder
        if isinstance(encoder, FrozenEstimator):
            encoder = encoder.estimator
        if not isinstance(encoder, BandSplitMask):
            return DenoisingConfig(n_bins, int(self.n_mels), *sizes, **options)
        bands = replace(encoder._make_config(stft), dropout=options["dropout"])
        return BandSplitDenoisingConfig(
            n_bins, sum(bands.inputs), *sizes, **options, bands=bands
        )

    def _choose_level(self) -> float:
        return 1.0

    def _reads_sequences(self) -> bool:
        return True

    def _fit_part(self, data: Data, rng: np.random.Generator) -> Any:
        if self.encoder is None or self._continues():
            return None
        encoder = self.encoder
        return fitted_part("encoder", encoder, data, device=self.device, rng=rng)

    def _first_network(
        self, config: DenoisingConfig, trainer: MixtureTrainer, part: Any
    ) -> DenoisingNetwork:
        """Network with a standardized input, whose decoder starts at the mean power.

        Its encoder starts from a mask network if there is one.
        """
        network = new_network(self._network_class, config, torch_generator(trainer.rng))
        if part is None:
            trainer.fit_bands(network.features)
        else:
            start_from_mask_network(network, part.state_)
        speech = (Batch(batch.clean, batch.lengths) for batch in trainer.measured())
        start_at_mean(network.log_variance, measure(speech, config.floor))
        return network

    def _loss(
        self,
        network: DenoisingNetwork,
        batch: Mixtures,
        generator: torch.Generator,
        is_training: bool,
    ) -> tuple[Tensor, int]:
        return denoising_loss(
            network,
            batch,
            generator,
            is_training,
            target=self.target,
            alpha=BALANCED_ALPHA[self.target] if self.alpha is None else self.alpha,
            precision=self._training.precision,
        )
