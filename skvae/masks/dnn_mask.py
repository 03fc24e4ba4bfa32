"""Enhancer with a dense mask network (DNN-IRM)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from skvae.masks.base import MaskEnhancer
from skvae.masks.losses import ratio_error
from skvae.masks.networks import MaskConfig, MaskNetwork
from skvae.signal.stft import STFT
from skvae.training.layers import frame_mean
from skvae.training.noisy_batches import Mixtures
from skvae.training.parameters import Training, layer_sizes
from skvae.utils.parameters import MAX_UNITS, Number


class DNNMask(MaskEnhancer):
    r"""Mask from a dense network that reads a frame and its neighbors (DNN-IRM).

    The network estimates the ideal ratio mask from the log power in mel bands [1]_.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(512, 512, 512, 512, 512)
        Number of rectified linear units of each layer.
    n_mels : int, default=100
        Number of mel bands.
    context : int, default=11
        Number of frames that the network reads for a frame, which is the middle one; an
        odd number.
    exponent : float, default=0.5
        Exponent of the ideal mask, :math:`(|s|^2 / (|s|^2 + |n|^2))^\text{exponent}`.
        With 1 the mask is the Wiener gain.
    dropout : float, default=0.0
        Fraction of the hidden units dropped in training.
    mixer : Mixer, default=None
        Adds noise to clean speech when `fit` gets no noisy speech; every epoch uses new
        mixtures. None means ``Mixer()``, which adds synthetic noise.
    training : Training, default=None
        Parameters of the training, such as ``Training(max_iter=40)``; None means the
        defaults, which :class:`Training` lists.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU if there is one.
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
    state_ : dict of str to ndarray
        Weights of the network.
    config_ : MaskConfig
        Sizes of the network.
    loss_curve_ : list of float
        Mean training loss of a frame in each epoch.
    validation_loss_curve_ : list of float
        Mean validation loss of a frame after each epoch.
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
    BiLSTMMask : Reads whole utterances.

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
    >>> noisy, clean = make_dataset(8, (0.5, 1.0), snr=0, random_state=0)
    >>> training = Training(max_iter=30, learning_rate=5e-3, averaging=0.9)
    >>> enhancer = DNNMask((64, 64), training=training, random_state=0)
    >>> _ = enhancer.fit(noisy[2:], clean[2:])
    >>> enhancer.score(noisy[:2], clean[:2]) > mean_si_sdr(clean[:2], noisy[:2])
    True
    """

    _network_class = MaskNetwork
    _parameter_ranges = {
        "n_mels": Number(1, MAX_UNITS, integer=True),
        "context": Number(low=1, high=999, integer=True),
        "exponent": Number(low=0.01, high=10),
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

    def _make_config(self, stft: STFT) -> MaskConfig:
        return MaskConfig(
            stft.framing().n_bins,
            int(self.n_mels),
            layer_sizes(self.hidden_layer_sizes),
            architecture="dense",
            context=int(self.context),
            dropout=float(self.dropout),
        )

    def _error(self, mask: Tensor, batch: Mixtures) -> tuple[Tensor, int]:
        return frame_mean(ratio_error(mask, batch, self.exponent), batch.lengths)
