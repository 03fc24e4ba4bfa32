"""What estimators with networks share: training, weights as arrays, built networks."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skvae.estimator import SpeechEstimator
from skvae.signal.spectrogram import Spectrogram, reads_itself
from skvae.signal.stft import STFT
from skvae.training.learned import Config, Weights
from skvae.training.parameters import Training, TrainingValues
from skvae.utils.device import check_device
from skvae.utils.learned import Scalar, Scalars
from skvae.utils.parameters import Number, check_option, check_ranges

if TYPE_CHECKING:
    import torch
    from torch import nn

    from skvae.training.clean_batches import AudioCache
    from skvae.training.loop import History, Loss, Optimization

Item = TypeVar("Item")

#: Networks that were built from the arrays of an estimator, and these arrays. Beside
#: the estimators, not in them: no pickle, copy or hash of one ever holds a module.
_NETWORKS: WeakKeyDictionary[TrainedEstimator, tuple[dict, dict]] = WeakKeyDictionary()

#: Parameters that do not change the result of training, or only through `seed_` and
#: the weights that training starts from.
_WITHOUT_EFFECT = frozenset(
    (
        "attenuation_limit",
        "block_seconds",
        "checkpoint",
        "max_cache_mb",
        "n_jobs",
        "random_state",
        "verbose",
        "warm_start",
    )
)


class TrainedEstimator(SpeechEstimator):
    """Base of estimators that train a network and keep its weights as arrays.

    Attributes
    ----------
    state_ : dict of str to ndarray
        The weights.
    config_ : dataclass
        The sizes of the network.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_loss_curve_ : list of float
        Validation loss after each epoch.
    best_loss_ : float
        Validation loss of the weights; without validation the last training loss.
    n_iter_ : int
        Epochs of this `fit`.
    """

    _learned = {
        "config_": Config(),
        "state_": Weights(),
        "loss_curve_": Scalars(),
        "validation_loss_curve_": Scalars(),
        "best_loss_": Scalar(),
        "n_iter_": Scalar(low=0, integer=True),
    }

    state_: dict[str, np.ndarray]
    config_: Any
    seed_: int

    device: str
    dropout: float
    random_state: Any
    training: Training | None

    _parameter_ranges = {"dropout": Number(low=0, high=1, open_high=True)}

    #: What the parameters of `training` are where they are None.
    _training_defaults: TrainingValues
    #: Parameters of `training` that must be None.
    _training_unused: tuple[str, ...] = ()

    @property
    @abstractmethod
    def _network_class(self) -> type[nn.Module]:
        """Class of the network, made from `config_`."""

    @abstractmethod
    def _build(self, config: Any, state: Mapping[str, np.ndarray]) -> Any:
        """Network with given weights, on the CPU."""

    def _network(self, device: str = "cpu", dtype: str = "float32") -> Any:
        """The fitted network, its weights constant: built once for each device."""
        import torch

        check_is_fitted(self)
        check_option("dtype", dtype, ["float32", "float64"])
        device = check_device(device)
        state, built = _NETWORKS.get(self, (None, {}))
        if state is not self.state_:  # fitted again since
            built = {}
            _NETWORKS[self] = self.state_, built
        if (device, dtype) not in built:
            network = self._build(self.config_, self.state_).requires_grad_(False)
            built[device, dtype] = network.to(device, getattr(torch, dtype))
        return built[device, dtype]

    @property
    def _training(self) -> TrainingValues:
        """Parameters of training, none of them missing."""
        return self._training_defaults.updated(self.training)

    def _make_part(self, name: str, value: Any) -> Any:
        if name == "training" and value is None:
            return Training()
        return super()._make_part(name, value)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.training is not None:
            if not isinstance(self.training, Training):
                raise ValueError(
                    f"`training` must be None or a Training, got {self.training!r}."
                )
            check_ranges(self.training)
            self.training._check_parameters()
            for name in self._training_unused:
                if getattr(self.training, name) is not None:
                    raise ValueError(
                        f"`training` must have {name}=None, since a "
                        f"{type(self).__name__} does not use it, got {self.training}."
                    )
        check_device(self.device)

    def _check_start(self, config: Any) -> None:
        """Raise a ValueError unless training of a network can start, or continue."""
        if self._continues():
            self._check_same("networks", self.config_, config)
        checkpoint = self._training.checkpoint
        if checkpoint is None:
            return
        path = os.path.abspath(checkpoint)
        if os.path.isdir(path) or not os.path.isdir(os.path.dirname(path)):
            raise ValueError(
                "`checkpoint` must be a file in an existing folder, got "
                f"{os.fspath(checkpoint)!r}."
            )
        if not isinstance(self.random_state, int | np.integer):
            raise ValueError(
                "`random_state` must be an integer with `checkpoint`, got "
                f"{self.random_state!r}: training could not resume with the same "
                "random numbers."
            )

    def _continues(self) -> bool:
        """Whether `fit` starts from the weights of the one before."""
        return self._training.warm_start and hasattr(self, "state_")

    def _choose_stft(self, spectrogram: Spectrogram | None) -> STFT:
        """Analysis of `fit`: no other one than that of the weights that go on."""
        stft = super()._choose_stft(spectrogram)
        if self._continues():
            self._check_same("STFT", self.stft_.framing(), stft.framing())
            self._check_same("sample rate", self.stft_.sample_rate, stft.sample_rate)
        return stft

    @staticmethod
    def _check_same(what: str, wanted: Any, got: Any) -> None:
        if wanted != got:
            raise ValueError(
                f"`warm_start` cannot continue: fit had the {what} {wanted}, now it is "
                f"{got}. Pass warm_start=False to start anew."
            )

    def _split(
        self, items: Sequence[Item], rng: np.random.Generator
    ) -> tuple[list[Item], list[Item]]:
        """Whole utterances to train on and to validate on."""
        n_validation, fraction = 0, self._training.validation_fraction
        if fraction > 0 and len(items) > 1:
            n_validation = max(1, round(fraction * len(items)))
            n_validation = min(n_validation, len(items) - 1)
        order = rng.permutation(len(items))
        shuffled = [items[k] for k in order]
        return shuffled[n_validation:], shuffled[:n_validation]

    def _train_network(
        self,
        network: nn.Module,
        loss: Loss,
        batches: Callable[[], Iterable[Any]],
        validation_batches: Callable[[], Iterable[Any]] | None,
        *,
        optimization: Optimization,
        generators: Mapping[str, np.random.Generator | torch.Generator],
        data: Sequence[Spectrogram],
        continued: bool = False,
    ) -> None:
        """Train, with progress, callbacks and checkpoints; set what `fit` leaves.

        Parameters
        ----------
        network : Module
            With its first weights, on the device.
        loss, batches, validation_batches, optimization
            As for :func:`skvae.training.loop.train`.
        generators : mapping of str to Generator
            As for :class:`skvae.training.checkpoint.Checkpoint`.
        data : list of Spectrogram
            All recordings that are trained or validated on, in their order.
        continued : bool
            Whether the first weights are those of the `fit` before.
        """
        from skvae.training.checkpoint import Checkpoint
        from skvae.training.loop import train

        values, checkpoint = self._training, None
        if values.checkpoint is not None:
            checkpoint = Checkpoint(
                values.checkpoint, self._fingerprint(data), generators
            )
        with self._iterations(values.max_iter, "epoch") as advance:

            def on_epoch(history: History) -> bool:
                line = _describe(history) if self.verbose else None
                return advance(line, lambda: _fitted(network, history))

            history = train(
                network,
                loss,
                batches,
                validation_batches,
                max_iter=values.max_iter,
                optimization=optimization,
                n_iter_no_change=values.n_iter_no_change,
                start_counts=continued,
                on_epoch=on_epoch,
                checkpoint=checkpoint,
            )
        for name, value in _fitted(network, history).items():
            setattr(self, name, value)

    def _fingerprint(self, data: Sequence[Spectrogram]) -> str:
        """Stands for all that the result of training depends on."""
        first_weights = self.state_ if self._continues() else None
        analysis = self.stft_.framing(), self.stft_.sample_rate
        facts = [_facts(self), self.seed_, first_weights, analysis, _facts(data)]
        return str(joblib.hash(facts))


def _facts(value: Any) -> Any:
    """What tells a parameter or a recording from others, in another process too."""
    if isinstance(value, list | tuple):
        return type(value).__name__, [_facts(item) for item in value]
    if isinstance(value, Spectrogram):
        return _facts(value.frames() if value.source is None else value.source)
    if isinstance(value, BaseEstimator) and not isinstance(value, FrozenEstimator):
        parameters = value.get_params(deep=False)
        if isinstance(value, TrainedEstimator):
            parameters |= asdict(value._training)
            del parameters["training"]
        names = sorted(parameters.keys() - _WITHOUT_EFFECT)
        return type(value).__name__, [
            (name, _facts(parameters[name])) for name in names
        ]
    if hasattr(value, "rvs") and hasattr(value, "dist"):
        # Frozen by scipy.stats: it holds a generator beside these.
        return value.dist.name, _facts(value.args), _facts(sorted(value.kwds.items()))
    if reads_itself(value):
        # An AudioFile tells its path and place, which is faster than reading it.
        told = repr(value)
        return np.asarray(value) if told == object.__repr__(value) else told
    return value


def cached(spectrogram: Spectrogram, cache: AudioCache) -> Spectrogram:
    """The same spectrogram, its audio read through a cache where it reads itself.

    Parameters
    ----------
    spectrogram : Spectrogram
        Of an utterance.
    cache : AudioCache
        Where its samples may stay.

    Returns
    -------
    Spectrogram

    Examples
    --------
    >>> from skvae import STFT
    >>> from skvae.training.clean_batches import AudioCache
    >>> [spectrogram] = STFT().fit_transform([np.ones(16000)])
    >>> cached(spectrogram, AudioCache(1e6)) is spectrogram
    True
    """
    audio = spectrogram.source
    if audio is None or not reads_itself(audio):
        return spectrogram
    return Spectrogram.from_waveform(
        cache.wrap(audio), spectrogram.framing, spectrogram.sample_rate
    )


def _fitted(network: nn.Module, history: History) -> dict[str, Any]:
    """Attributes that training leaves behind."""
    from skvae.training.state import to_arrays

    return {
        "state_": to_arrays(network),
        "config_": network.config,
        "loss_curve_": list(history.loss),
        "validation_loss_curve_": list(history.validation_loss),
        "best_loss_": history.best_loss,
        "n_iter_": len(history.loss),
    }


def _describe(history: History) -> str:
    line = f"epoch {len(history.loss)}: loss {history.loss[-1]:.4g}"
    if history.validation_loss:
        line += f", validation {history.validation_loss[-1]:.4g}"
    return line
