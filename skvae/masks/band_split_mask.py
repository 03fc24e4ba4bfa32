"""Enhancer with a mask network whose LSTMs are shared by frequency bands."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from skvae.masks.band_layout import BandLayout, band_layout
from skvae.masks.band_split_network import BandSplitConfig, BandSplitNetwork
from skvae.masks.base import MaskEnhancer
from skvae.masks.losses import TARGETS, mask_error
from skvae.signal.stft import STFT
from skvae.training.noisy_batches import Mixtures
from skvae.training.parameters import Training, layer_sizes
from skvae.utils.parameters import MAX_UNITS, Number, Option, check_real


class BandEdges:
    """Range of `band_edges`: positive frequencies in ascending order.

    Examples
    --------
    >>> BandEdges().check("band_edges", (500.0, 250.0))
    Traceback (most recent call last):
        ...
    ValueError: `band_edges` must be in ascending order, got (500.0, 250.0).
    """

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError unless a value is a sequence of ascending frequencies."""
        if not isinstance(value, tuple | list):
            raise ValueError(
                f"`{name}` must be a sequence of frequencies in Hz, got {value!r}."
            )
        for k, edge in enumerate(value):
            check_real(f"{name}[{k}]", edge, low=0, open_low=True)
        if any(a >= b for a, b in itertools.pairwise(value)):
            raise ValueError(f"`{name}` must be in ascending order, got {value!r}.")


class BandSplitMask(MaskEnhancer):
    r"""Mask from a network whose bands share an LSTM.

    The spectrum is split into bands, narrow ones below 1 kHz and wide ones above. Each
    block of the network has an LSTM over time, with the same weights in all bands, and
    a bottleneck that joins the bands of a frame. The splitting is that of [1]_, with a
    dense bottleneck in place of its LSTM over bands, and a real mask.

    Parameters
    ----------
    target : {"perceptual", "psa", "msa"}, default="perceptual"
        Training target of the masked spectrum, as in :class:`BiLSTMMask`.
    hidden_layer_sizes : int or tuple of int, default=(48, 48)
        Number of units of the LSTM of each block, in each direction. There are as many
        blocks as numbers.
    n_channels : int, default=80
        Number of channels of each band between the blocks.
    bottleneck_size : int, default=128
        Number of units that join the bands in each block.
    bidirectional : bool, default=True
        Whether the LSTMs also read backward. If False, the network reads nothing but
        the past; :meth:`transform` then still scales each utterance by its mean power.
    band_edges : sequence of float, default=(250, 500, 750, 1000, 1500, 2000, 4000)
        Frequencies in Hz between the bands. Bands above half the sample rate, and bands
        without a bin of the STFT, are left out.
    fine_below : float, default=2000.0
        Frequency in Hz below which the network reads single bins. Above it, it reads
        the mean power of groups, which have k bins up to k times this frequency. The
        mask has a value for each bin.
    dropout : float, default=0.0
        Fraction of the outputs of the LSTMs dropped in training.
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
    config_ : BandSplitConfig
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
    BiLSTMMask : Its LSTMs read all bands at once.

    References
    ----------
    .. [1] Y. Luo and J. Yu, "Music source separation with band-split RNN", IEEE/ACM
       Transactions on Audio, Speech, and Language Processing, 2023.

    Examples
    --------
    >>> from skvae import BandSplitMask, Training
    >>> from skvae.datasets import make_dataset
    >>> from skvae.metrics import mean_si_sdr
    >>> noisy, clean = make_dataset(8, snr=0, random_state=0)
    >>> training = Training(20, learning_rate=1e-2, averaging=0.9)
    >>> enhancer = BandSplitMask("psa", 16, n_channels=24, bottleneck_size=32,
    ...                          training=training, random_state=0)
    >>> _ = enhancer.fit(noisy[2:], clean[2:])
    >>> enhancer.score(noisy[:2], clean[:2]) > mean_si_sdr(clean[:2], noisy[:2])
    True
    """

    _network_class = BandSplitNetwork
    _parameter_ranges = {
        "target": Option(*TARGETS),
        "n_channels": Number(1, MAX_UNITS, integer=True),
        "bottleneck_size": Number(1, MAX_UNITS, integer=True),
        "bidirectional": Option(True, False),
        "band_edges": BandEdges(),
        "fine_below": Number(low=1.0, high=1e6),
    }

    def __init__(
        self,
        target: str = "perceptual",
        hidden_layer_sizes: int | tuple[int, ...] = (48, 48),
        *,
        n_channels: int = 80,
        bottleneck_size: int = 128,
        bidirectional: bool = True,
        band_edges: Sequence[float] = (250, 500, 750, 1000, 1500, 2000, 4000),
        fine_below: float = 2000.0,
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
        self.n_channels = n_channels
        self.bottleneck_size = bottleneck_size
        self.bidirectional = bidirectional
        self.band_edges = band_edges
        self.fine_below = fine_below
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

    def _make_config(self, stft: STFT) -> BandSplitConfig:
        layout = self._layout(stft)
        return BandSplitConfig(
            layout.inputs,
            layout.outputs,
            int(self.n_channels),
            layer_sizes(self.hidden_layer_sizes),
            int(self.bottleneck_size),
            bool(self.bidirectional),
            dropout=float(self.dropout),
        )

    def _layout(self, stft: STFT) -> BandLayout:
        return band_layout(
            stft.framing(), stft.sample_rate, self.band_edges, float(self.fine_below)
        )

    def _filters(self) -> np.ndarray:
        return self._layout(self.stft_).filters()

    def _error(self, mask: Tensor, batch: Mixtures) -> tuple[Tensor, int]:
        return mask_error(mask, batch, self.target)
