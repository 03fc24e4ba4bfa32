"""Enhancer with a mask network of bidirectional LSTMs."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from skvae.masks.base import MaskEnhancer
from skvae.masks.losses import TARGETS, mask_error
from skvae.masks.networks import MaskConfig, MaskNetwork
from skvae.signal.stft import STFT
from skvae.training.noisy_batches import Mixtures
from skvae.training.parameters import Training, layer_sizes
from skvae.utils.parameters import MAX_UNITS, Number, Option


class BiLSTMMask(MaskEnhancer):
    """Mask from bidirectional LSTMs that read the whole utterance.

    Parameters
    ----------
    target : {"perceptual", "psa", "msa"}, default="perceptual"
        Training target of the masked spectrum: the magnitude of the speech ("msa"),
        that magnitude times the cosine of the phase difference ("psa") [1]_ [2]_, or
        both of them compressed, together with the SI-SDR ("perceptual").
    hidden_layer_sizes : int or tuple of int, default=(128, 128, 128)
        Number of units of each layer in each direction; (512, 512, 512) in [1]_.
    n_mels : int, default=96
        Number of mel bands, whose log power the network reads.
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
    BandSplitMask : Bands share an LSTM, which takes fewer weights.
    DNNMask : Reads a few frames.

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

    _network_class = MaskNetwork
    _parameter_ranges = {
        "target": Option(*TARGETS),
        "n_mels": Number(1, MAX_UNITS, integer=True),
    }

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

    def _make_config(self, stft: STFT) -> MaskConfig:
        return MaskConfig(
            stft.framing().n_bins,
            int(self.n_mels),
            layer_sizes(self.hidden_layer_sizes),
            dropout=float(self.dropout),
        )

    def _error(self, mask: Tensor, batch: Mixtures) -> tuple[Tensor, int]:
        return mask_error(mask, batch, self.target)
