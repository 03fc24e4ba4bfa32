"""Base of estimators with a network: parameters of training, weights as arrays."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skvae.estimator import SpeechEstimator
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import STFT
from skvae.training.learned import Config, Weights
from skvae.training.networks import restored_network
from skvae.training.parameters import Training, TrainingValues
from skvae.training.parts import Data, agreed_stft
from skvae.utils.device import check_device
from skvae.utils.learned import Scalar, Scalars
from skvae.utils.modes import default_modes
from skvae.utils.parameters import Number, Range, check_option, check_ranges

if TYPE_CHECKING:
    from skvae.training.trainer import Trainer

#: Networks that were built from the arrays of an estimator, and these arrays. They are
#: not attributes of the estimators, so no pickle, copy or hash contains a module.
_NETWORKS: WeakKeyDictionary[TrainedEstimator, tuple[dict, dict]] = WeakKeyDictionary()


class TrainedEstimator(SpeechEstimator):
    """Base of estimators that train a network and keep its weights as arrays.

    A subclass declares its network in ``_network_class`` and ``_make_config``, creates
    it in ``_first_network``, trains it with the ``Trainer`` of ``_make_trainer`` on the
    ``_loss``, and calls ``_check_start`` and ``_fit_network`` in `fit`.

    Attributes
    ----------
    state_ : dict of str to ndarray
        Weights of the network.
    config_ : dataclass
        Sizes of the network.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_loss_curve_ : list of float
        Validation loss after each epoch.
    best_loss_ : float
        Validation loss of the weights; without validation the last training loss.
    n_iter_ : int
        Number of epochs of the last `fit`.
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

    _parameter_ranges: ClassVar[Mapping[str, Range | None]] = {
        "dropout": Number(low=0, high=1, open_high=True)
    }

    #: Parameters that are estimators and may be frozen.
    _parts: ClassVar[tuple[str, ...]] = ()

    #: Class of each part that may be None and has parameters to set.
    _default_parts: ClassVar[Mapping[str, type]] = {"training": Training}

    #: Values of the parameters of `training` that are None.
    _training_defaults: ClassVar[TrainingValues]

    #: Parameters of `training` that must be None.
    _training_unused: ClassVar[tuple[str, ...]] = ()

    #: Class of the network, which is made from `config_`.
    _network_class: ClassVar[type[nn.Module]]

    @abstractmethod
    def _make_config(self, stft: STFT) -> Any:
        """Return the sizes of the network for an analysis."""

    @abstractmethod
    def _make_trainer(self, data: Data, rng: np.random.Generator) -> Trainer:
        """Return the trainer of the network."""

    @abstractmethod
    def _first_network(self, config: Any, trainer: Any, part: Any) -> nn.Module:
        """Return the network that training starts from, on the CPU.

        Parameters
        ----------
        config : dataclass
            Sizes of the network.
        trainer : Trainer
            Its `rng` is the source of all random numbers.
        part : estimator or None
            Fitted estimator from which the network starts, for those that have one.
        """

    @abstractmethod
    def _loss(
        self, network: Any, batch: Any, generator: torch.Generator, is_training: bool
    ) -> tuple[Tensor, int]:
        """Return the mean loss over the frames of a batch, and their number.

        Parameters
        ----------
        network : Module
            Network in training.
        batch : Batch or Mixtures
            On the device of the network.
        generator : torch.Generator
            Source of random numbers, on that device.
        is_training : bool
            Whether units are dropped out.
        """

    @property
    def _training(self) -> TrainingValues:
        """Parameters of the training, with the defaults for those that are None."""
        return self._training_defaults.updated(self.training)

    def _make_part(self, name: str, value: Any) -> Any:
        if value is None and name in self._default_parts:
            return self._default_parts[name]()
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
        """Raise a ValueError unless training can start, or continue.

        Parameters
        ----------
        config : dataclass
            Sizes of the network.
        """
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
        """Whether `fit` starts from the weights of the previous `fit`."""
        return self._training.warm_start and hasattr(self, "state_")

    def _choose_stft(self, spectrogram: Spectrogram | None) -> STFT:
        """Return the STFT of `fit`: that of frozen parts and of existing weights."""
        stft = super()._choose_stft(spectrogram)
        is_default = spectrogram is None and self.stft is None
        for name in self._parts:
            part = getattr(self, name)
            stft = agreed_stft(name, part, stft, is_default=is_default)
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

    def _fit_network(
        self, data: Data, config: Any, rng: np.random.Generator, part: Any = None
    ) -> None:
        """Train the network, and set `state_` and the attributes beside it."""
        trainer = self._make_trainer(data, rng)
        if self._continues():
            network = self._restored_network(config, self.state_)
        else:
            network = self._first_network(config, trainer, part)
        trainer.train(network)

    def _restored_network(
        self, config: Any, state: Mapping[str, np.ndarray]
    ) -> nn.Module:
        """Return a network with given weights, on the CPU."""
        return restored_network(self._network_class, config, state)

    @default_modes()
    def _network(self, device: str = "cpu", dtype: str = "float32") -> Any:
        """Return the fitted network with constant weights, built once per device."""
        check_is_fitted(self)
        check_option("dtype", dtype, ["float32", "float64"])
        device = check_device(device)
        state, built = _NETWORKS.get(self, (None, {}))
        if state is not self.state_:  # fitted again since
            built = {}
            _NETWORKS[self] = self.state_, built
        if (device, dtype) not in built:
            network = self._restored_network(self.config_, self.state_)
            network.requires_grad_(False)
            built[device, dtype] = network.to(device, getattr(torch, dtype))
        return built[device, dtype]
