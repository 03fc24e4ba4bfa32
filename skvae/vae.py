"""Models of speech: variational autoencoders, as estimators of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.callback import with_callbacks
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skvae.base import SpeechEstimator
from skvae.spectrogram import Spectrogram, reads_itself
from skvae.utils.device import check_device, torch_generator
from skvae.utils.parameters import check_option, check_real
from skvae.utils.random import check_generator, draw_seed
from skvae.utils.threads import one_thread
from skvae.utils.utterances import Kind, read_clean, read_collection

if TYPE_CHECKING:
    import torch

    from skvae.networks.frames import AudioCache, Batch, Utterance
    from skvae.networks.training import History
    from skvae.networks.vae import SpeechNetwork, VAEConfig

#: Draws of the latent variables that a score is the mean of.
_SCORE_DRAWS = 4
#: Least floor: near the least variance that the decoder gives, exp(-25).
_LEAST_FLOOR = 1e-10

#: Networks that were built from the arrays of an estimator, and these arrays. Beside
#: the estimators, not in them: no pickle, copy or hash of one ever holds a module.
_NETWORKS: WeakKeyDictionary[SpeechVAE, tuple[dict, dict]] = WeakKeyDictionary()


class SpeechVAE(SpeechEstimator):
    r"""Variational autoencoder of clean speech: what its spectra look like.

    A frame of speech has the variance that a decoder network gives for a latent
    variable z of a standard Gaussian distribution; an encoder network gives the
    posterior of z [1]_. It is trained on clean speech only, and serves
    :class:`VAENMFEnhancer` as a prior.

    Parameters
    ----------
    n_latent : int, default=32
        Latent variables in a frame.
    hidden : int or tuple of int, default=128
        Units of the encoder's hidden layers, one number for each; with "bilstm" units
        in each direction. A dense decoder has the same in the opposite order, a BiLSTM
        one has a single layer like the encoder's last [2]_.
    architecture : {"feedforward", "bilstm"}, default="feedforward"
        Whether each frame is seen alone [1]_, or with all others [2]_.
    activation : {"tanh", "relu"}, default="tanh"
        Of dense hidden layers.
    features : {"log", "power"}, default="log"
        What the encoder reads: the logarithm of the power, standardised, or the power
        itself as in the papers, divided by its root mean square.
    floor : float, default=1e-3
        Added to all power, in the unit that `level` defines: to what the encoder reads
        and to what the decoder explains. Digital silence and the noise of recordings
        below it carry no weight.
    level : (float, float), default=(0.0, 10.0)
        Mean of :math:`|X|^2` over the frames and bins of an utterance, which each is
        brought to: in training to a number drawn for each epoch from (low, high], as
        in [1]_, elsewhere to `level_`.
    dropout : float, default=0.0
        Share of hidden units left out in training; 0.2 in [2]_.
    max_iter : int, default=200
        Epochs at most.
    batch_size : int, default=128
        Frames in a batch, or sequences with "bilstm".
    learning_rate : float, default=1e-3
        Of Adam.
    validation_fraction : float, default=0.2
        Share of the utterances that early stopping watches. Zero, or a single
        utterance, means that all are trained on, for `max_iter` epochs.
    n_iter_no_change : int, default=10
        Training stops after so many epochs without a lower validation loss.
    sequence_length : int, default=64
        Frames in a training sequence of "bilstm".
    max_cache_mb : float, default=256.0
        Memory for decoded audio, in MB: 1 MB holds half a minute at 16 kHz and 16 bits.
        What does not fit is read again in each epoch. Results do not depend on it.
    warm_start : bool, default=False
        Whether another `fit` continues from the weights of the one before.
    device : str, default="cpu"
        PyTorch device; "auto" is a GPU where there is one.
    stft : STFT, default=None
        Analysis of waveforms; None means ``STFT()``. Spectrograms bring their own.
    random_state : int, Generator or None, default=None
        Where `seed_` comes from.
    verbose : int, default=0
        Whether to show progress on standard error.

    Attributes
    ----------
    state_ : dict of str to ndarray
        The weights.
    config_ : VAEConfig
        The sizes of the networks.
    level_ : float
        Level of utterances outside of training, the middle of `level`.
    loss_curve_ : list of float
        Mean loss of a frame in each epoch: minus the evidence lower bound (ELBO), with
        the Itakura-Saito divergence for the likelihood.
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
    ISNMF : Models speech by a dictionary of spectra instead.

    Notes
    -----
    The loss of a frame with the power p (the floor added) is

    .. math::

        \sum_f \frac{p_f}{\sigma_f^2(z)} - \log \frac{p_f}{\sigma_f^2(z)} - 1
        + \frac{1}{2} \sum_l \mu_l^2 + \varsigma_l^2 - \log \varsigma_l^2 - 1,

    its first part for a z drawn from the posterior
    :math:`\mathcal{N}(\mu, \varsigma^2)`. It differs from the negative ELBO by a term
    without parameters, and is the least, zero, for a variance equal to the power.

    References
    ----------
    .. [1] Y. Bando, M. Mimura, K. Itoyama, K. Yoshii and T. Kawahara, "Statistical
       speech enhancement based on probabilistic integration of variational autoencoder
       and non-negative matrix factorization", ICASSP 2018.
    .. [2] Y. Bando, K. Sekiguchi and K. Yoshii, "Adaptive neural speech enhancement
       with a denoising variational autoencoder", INTERSPEECH 2020.

    Examples
    --------
    >>> from skvae import SpeechVAE
    >>> from skvae.datasets import make_noise, make_speech
    >>> speech = [make_speech(16000, random_state=k) for k in range(6)]
    >>> vae = SpeechVAE(8, 64, max_iter=3, random_state=0).fit(speech[:5])
    >>> [z.shape for z in vae.transform(speech[5:])]
    [(63, 8)]
    >>> vae.score(speech[5:]) > vae.score([make_noise(16000, random_state=0)])
    True
    """

    def __init__(
        self,
        n_latent: int = 32,
        hidden: Any = 128,
        *,
        architecture: str = "feedforward",
        activation: str = "tanh",
        features: str = "log",
        floor: float = 1e-3,
        level: tuple[float, float] = (0.0, 10.0),
        dropout: float = 0.0,
        max_iter: int = 200,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        validation_fraction: float = 0.2,
        n_iter_no_change: int = 10,
        sequence_length: int = 64,
        max_cache_mb: float = 256.0,
        warm_start: bool = False,
        device: str = "cpu",
        stft: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.n_latent = n_latent
        self.hidden = hidden
        self.architecture = architecture
        self.activation = activation
        self.features = features
        self.floor = floor
        self.level = level
        self.dropout = dropout
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.sequence_length = sequence_length
        self.max_cache_mb = max_cache_mb
        self.warm_start = warm_start
        self.device = device
        self.stft = stft
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> SpeechVAE:
        """Learn from clean speech.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Clean speech if `y` is None; else it only says which STFT is used.
        y : list of waveforms, 2-D array, or None, default=None
            Clean speech of the same lengths, as a pipeline passes it beside noisy X.

        Returns
        -------
        SpeechVAE
            Itself.
        """
        items, kind = read_collection(self, X, reset=True)
        self._check_parameters()
        stft = self._choose_stft(items[0] if kind.spectral else None)
        continued = bool(self.warm_start) and hasattr(self, "state_")
        config = self._make_config(stft.framing().n_bins)
        if continued:
            self._check_continuable(stft, config)
        self.stft_ = stft
        speech = self._open(items)
        clean_items = read_clean(y, len(speech))
        if clean_items is not None:
            speech = self._open_clean(clean_items, speech)
        self.seed_ = draw_seed(self.random_state)
        self.level_ = (float(self.level[0]) + float(self.level[1])) / 2
        with one_thread():
            history, network = self._train(speech, config, continued)
        for name, value in _fitted(network, history).items():
            setattr(self, name, value)
        return self

    def transform(self, X: Any) -> Any:
        """Posterior means of the latent variables.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Speech.

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
            return _collect([means(utterance) for utterance in utterances], kind)

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

    def score_samples(self, X: Any) -> Any:
        """Evidence lower bound of each frame.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Speech, which is brought to `level_`.

        Returns
        -------
        list of ndarray of float32, each of shape (n_frames,), or one 2-D array
            Minus the loss: at most zero, up to the terms that do not depend on the
            model. Higher is better.
        """
        utterances, kind = self._utterances(X)
        return _collect(self._score_frames(utterances), kind)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean evidence lower bound of a frame; higher is better.

        Parameters
        ----------
        X : list of waveforms, 2-D array, or list of Spectrogram
            Speech.
        y : list of waveforms, 2-D array, or None, default=None
            As in `fit`: if there is clean speech, it is what is scored.

        Returns
        -------
        float
        """
        utterances, _ = self._utterances(X, y)
        scores = np.concatenate(self._score_frames(utterances))
        return float(scores.mean(dtype=np.float64))

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

    def networks(self, device: str = "cpu", dtype: str = "float32") -> SpeechNetwork:
        """Encoder and decoder as PyTorch functions, for inference in a larger model.

        Parameters
        ----------
        device : str, default="cpu"
            Where they are.
        dtype : {"float32", "float64"}, default="float32"
            Their precision.

        Returns
        -------
        SpeechNetwork
            ``encode(power)`` gives mean and log-variance (..., N, L) of power
            (..., N, F) in the unit of the model, ``decode(z)`` the log-variance
            (..., N, F) of speech. Both are differentiable; the weights are constants.
            It is shared: do not change it.

        Examples
        --------
        >>> import numpy as np
        >>> import torch
        >>> vae = SpeechVAE(4, 16, max_iter=1, random_state=0).fit([np.ones(16000)])
        >>> networks = vae.networks(dtype="float64")
        >>> networks.decode(torch.zeros(7, 4, dtype=torch.float64)).shape
        torch.Size([7, 513])
        """
        import torch

        from skvae.networks.vae import network_from

        check_is_fitted(self)
        check_option("dtype", dtype, ["float32", "float64"])
        device = check_device(device)
        state, built = _NETWORKS.get(self, (None, {}))
        if state is not self.state_:  # fitted again since
            built = {}
            _NETWORKS[self] = self.state_, built
        if (device, dtype) not in built:
            network = network_from(self.config_, self.state_).requires_grad_(False)
            built[device, dtype] = network.to(device, getattr(torch, dtype))
        return built[device, dtype]

    def _check_parameters(self) -> None:
        from skvae.networks.vae import ACTIVATIONS, ARCHITECTURES, FEATURES

        for name in ("n_latent", "max_iter", "batch_size", "n_iter_no_change"):
            check_real(name, getattr(self, name), low=1, integer=True)
        check_real("sequence_length", self.sequence_length, low=1, integer=True)
        sizes = self.hidden if isinstance(self.hidden, tuple | list) else (self.hidden,)
        if not sizes:
            raise ValueError("`hidden` must hold at least one layer, got none.")
        for size in sizes:
            check_real("hidden", size, low=1, integer=True)
        check_option("architecture", self.architecture, ARCHITECTURES)
        check_option("activation", self.activation, ACTIVATIONS)
        check_option("features", self.features, FEATURES)
        check_real("floor", self.floor, low=_LEAST_FLOOR)
        check_real("dropout", self.dropout, low=0, high=1)
        if self.dropout == 1:
            raise ValueError("`dropout` must be below 1, got 1: nothing would be left.")
        check_real("learning_rate", self.learning_rate, low=0, open_low=True)
        check_real("validation_fraction", self.validation_fraction, low=0, high=1)
        if self.validation_fraction == 1:
            raise ValueError(
                "`validation_fraction` must be below 1, got 1: nothing would be "
                "trained on."
            )
        check_real("max_cache_mb", self.max_cache_mb, low=0)
        if not isinstance(self.level, tuple | list) or len(self.level) != 2:
            raise ValueError(f"`level` must be a pair (low, high), got {self.level!r}.")
        check_real("level", self.level[0], low=0)
        check_real("level", self.level[1], low=max(self.level[0], 0))
        if self.level[1] == 0:
            raise ValueError(f"`level` must end above 0, got {self.level!r}.")
        if not isinstance(self.verbose, bool):
            check_real("verbose", self.verbose, low=0)
        check_device(self.device)

    def _make_config(self, n_bins: int) -> VAEConfig:
        from skvae.networks.vae import VAEConfig

        sizes = self.hidden if isinstance(self.hidden, tuple | list) else (self.hidden,)
        return VAEConfig(
            n_bins=n_bins,
            n_latent=int(self.n_latent),
            hidden=tuple(int(size) for size in sizes),
            architecture=self.architecture,
            activation=self.activation,
            features=self.features,
            floor=float(self.floor),
            dropout=float(self.dropout),
        )

    def _check_continuable(self, stft: Any, config: VAEConfig) -> None:
        for name, wanted, got in (
            ("STFT", self.stft_.framing(), stft.framing()),
            ("sample rate", self.stft_.sample_rate, stft.sample_rate),
            ("networks", self.config_, config),
        ):
            if wanted != got:
                raise ValueError(
                    f"`warm_start` cannot continue: fit had the {name} {wanted}, now "
                    f"it is {got}. Pass warm_start=False to start anew."
                )

    def _train(
        self, speech: list[Spectrogram], config: VAEConfig, continued: bool
    ) -> tuple[History, SpeechNetwork]:
        import torch

        from skvae.networks.frames import AudioCache, Utterance
        from skvae.networks.losses import vae_loss
        from skvae.networks.training import train
        from skvae.networks.vae import initial_network, network_from

        rng = np.random.default_rng(self.seed_)
        cache = AudioCache(self.max_cache_mb * 1e6)
        utterances = [Utterance(_cached(spectrogram, cache)) for spectrogram in speech]
        training, validation = self._split(utterances, rng)
        device = check_device(self.device)
        if continued:
            network = network_from(config, self.state_)
        else:
            network = initial_network(config, torch_generator(rng))
            self._standardise(network, training, rng)
        network.to(device)
        training_seed, validation_seed = rng.integers(2**62, size=2).tolist()
        training_draws = torch.Generator(device).manual_seed(training_seed)
        validation_draws = torch.Generator(device)

        def loss(batch: Batch, is_training: bool) -> tuple[torch.Tensor, int]:
            generator = training_draws if is_training else validation_draws
            return vae_loss(network, batch, generator, is_training)

        def validation_batches() -> Iterator[Batch]:
            # The same draws each time, so that epochs can be compared.
            validation_draws.manual_seed(validation_seed)
            return self._in_order(validation)

        with self._iterations(self.max_iter, "epoch") as advance:

            def on_epoch(history: History) -> bool:
                line = _describe(history) if self.verbose else None
                return advance(line, lambda: _fitted(network, history))

            history = train(
                network,
                loss,
                lambda: self._shuffled(training, rng),
                validation_batches if validation else None,
                max_iter=self.max_iter,
                learning_rate=self.learning_rate,
                n_iter_no_change=self.n_iter_no_change,
                start_counts=continued,
                on_epoch=on_epoch,
            )
        return history, network

    def _split(
        self, utterances: list[Utterance], rng: np.random.Generator
    ) -> tuple[list[Utterance], list[Utterance]]:
        """Whole utterances to train on and to validate on."""
        n_validation = 0
        if self.validation_fraction > 0 and len(utterances) > 1:
            n_validation = max(1, round(self.validation_fraction * len(utterances)))
            n_validation = min(n_validation, len(utterances) - 1)
        order = rng.permutation(len(utterances))
        shuffled = [utterances[k] for k in order]
        return shuffled[n_validation:], shuffled[:n_validation]

    def _standardise(
        self,
        network: SpeechNetwork,
        training: list[Utterance],
        rng: np.random.Generator,
    ) -> None:
        """Fit what the encoder reads and where the decoder starts to the data."""
        import torch

        from skvae.networks.frames import measure

        moments = measure(self._shuffled(training, rng), self.floor)
        mean, scale = moments.log_mean, moments.log_scale
        if self.features == "power":
            mean, scale = np.zeros_like(mean), moments.scale
        with torch.no_grad():
            network.feature_mean.copy_(torch.from_numpy(mean))
            network.feature_scale.fill_(scale or 1.0)
            # The best of all variances that do not depend on z.
            network.log_variance.bias.copy_(torch.from_numpy(np.log(moments.mean)))

    def _shuffled(
        self, utterances: list[Utterance], rng: np.random.Generator
    ) -> Iterator[Batch]:
        from skvae.networks.frames import shuffled_frames, shuffled_sequences

        level = float(self.level[0]), float(self.level[1])
        if self.architecture == "bilstm":
            return shuffled_sequences(
                utterances, level, self.batch_size, self.sequence_length, rng
            )
        return shuffled_frames(utterances, level, self.batch_size, rng)

    def _in_order(self, utterances: list[Utterance]) -> Iterator[Batch]:
        from skvae.networks.frames import frames_in_order

        length = self.sequence_length if self.architecture == "bilstm" else None
        return frames_in_order(utterances, self.level_, length)

    def _utterances(self, X: Any, y: Any = None) -> tuple[list[Utterance], Kind]:
        from skvae.networks.frames import Utterance

        check_is_fitted(self)
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
        if self.config_.architecture == "bilstm":
            blocks = iter([np.concatenate(list(blocks))])
        for block in blocks:
            yield torch.from_numpy(block).to(device)

    def _score_frames(self, utterances: list[Utterance]) -> list[np.ndarray]:
        import torch

        from skvae.networks.losses import itakura_saito, kl_from_standard
        from skvae.networks.random import draw

        network = self.networks(self.device)
        generator = torch.Generator(check_device(self.device))

        def bound(power: torch.Tensor) -> np.ndarray:
            mean, log_variance = network.encode(power)
            log_power = network.log_power(power)
            misfit = torch.zeros_like(log_power[:, 0])
            for _ in range(_SCORE_DRAWS):
                z = draw(mean, log_variance, generator)
                misfit += itakura_saito(log_power, network.decode(z))
            loss = misfit / _SCORE_DRAWS + kl_from_standard(mean, log_variance)
            return -loss.cpu().numpy()

        scores = []
        with one_thread(), torch.inference_mode():
            for utterance in utterances:
                generator.manual_seed(self.seed_)
                blocks = self._encoder_blocks(utterance)
                scores.append(np.concatenate([bound(block) for block in blocks]))
        return scores


def _fitted(network: SpeechNetwork, history: History) -> dict[str, Any]:
    """Attributes that training leaves behind."""
    from skvae.networks.state import to_arrays

    return {
        "state_": to_arrays(network),
        "config_": network.config,
        "loss_curve_": list(history.loss),
        "validation_loss_curve_": list(history.validation_loss),
        "best_loss_": history.best_loss,
        "n_iter_": len(history.loss),
    }


def _describe(history: History) -> str:
    line = f"epoch {len(history.loss)}: loss {history.loss[-1]:.2f}"
    if history.validation_loss:
        line += f", validation {history.validation_loss[-1]:.2f}"
    return line


def _cached(spectrogram: Spectrogram, cache: AudioCache) -> Spectrogram:
    """The same spectrogram, its audio read through a cache where it reads itself."""
    audio = spectrogram._waveform
    if audio is None or not reads_itself(audio):
        return spectrogram
    return Spectrogram.from_waveform(
        cache.wrap(audio), spectrogram.framing, spectrogram.sample_rate
    )


def _collect(results: list[np.ndarray], kind: Kind) -> Any:
    """One array for the rows of an array, else a list."""
    equal = kind in (Kind.ARRAY, Kind.SPECTROGRAM_ARRAY)
    return np.stack(results) if equal else results
