"""One training run of an estimator's network: data, loop, progress and checkpoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from skvae.signal.spectrogram import Spectrogram
from skvae.training.checkpoint import Checkpoint
from skvae.training.estimator import TrainedEstimator
from skvae.training.fingerprint import fingerprint
from skvae.training.loop import History, Optimization, train
from skvae.training.networks import to_arrays
from skvae.utils.device import check_device

Item = TypeVar("Item")


class Trainer(ABC):
    """Training run of an estimator's network, in one call of `fit`.

    A subclass yields the batches; the estimator computes their loss in
    ``_loss(network, batch, generator, is_training)``.

    Parameters
    ----------
    estimator : TrainedEstimator
        The estimator, which has `stft_` and `seed_`.
    sources : list
        One object for each utterance, from which the batches are made.
    recordings : list of Spectrogram
        All recordings of the sources, in order.
    rng : Generator
        Source of all random numbers.

    Attributes
    ----------
    training, validation : list
        The sources of the utterances to train on and to validate on.
    values : TrainingValues
        Parameters of the training.
    device : str
        PyTorch device.
    """

    def __init__(
        self,
        estimator: TrainedEstimator,
        sources: Sequence[Any],
        recordings: Sequence[Spectrogram],
        rng: np.random.Generator,
    ):
        self.estimator = estimator
        self.values = estimator._training
        self.device = check_device(estimator.device)
        self.recordings = recordings
        self.rng = rng
        fraction = self.values.validation_fraction
        self.training, self.validation = split(sources, fraction, rng)

    @abstractmethod
    def batches(self) -> Iterator[Any]:
        """Yield the batches of an epoch, in another order each time."""

    @abstractmethod
    def validation_batches(self, seed: int) -> Iterator[Any]:
        """Yield the batches for validation, the same ones each time."""

    @abstractmethod
    def optimization(self) -> Optimization:
        """Return how weights are updated."""

    def train(self, network: nn.Module) -> None:
        """Train a network, and set the attributes of the estimator.

        Parameters
        ----------
        network : Module
            Network with its first weights; changed in place.
        """
        estimator, values = self.estimator, self.values
        continues = estimator._continues()
        network.to(self.device)
        training_seed, validation_seed = self.rng.integers(2**62, size=2).tolist()
        draws = torch.Generator(self.device).manual_seed(training_seed)
        validation_draws = torch.Generator(self.device)

        def loss(batch: Any, is_training: bool) -> tuple[Tensor, int]:
            generator = draws if is_training else validation_draws
            batch = batch.to(self.device)
            return estimator._loss(network, batch, generator, is_training)

        def validation_batches() -> Iterator[Any]:
            # The same draws in each epoch, so that the losses can be compared.
            validation_draws.manual_seed(validation_seed)
            return self.validation_batches(validation_seed)

        checkpoint = None
        if values.checkpoint is not None:
            checkpoint = Checkpoint(
                values.checkpoint,
                fingerprint(estimator, self.recordings, continues),
                {"batches": self.rng, "draws": draws},
            )
        with estimator._iterations(values.max_iter, "epoch") as advance:

            def on_epoch(history: History) -> bool:
                line = _describe(history) if estimator.verbose else None
                return advance(line, lambda: _learned(network, history))

            history = train(
                network,
                loss,
                self.batches,
                validation_batches if self.validation else None,
                max_iter=values.max_iter,
                optimization=self.optimization(),
                n_iter_no_change=values.n_iter_no_change,
                start_counts=continues,
                on_epoch=on_epoch,
                checkpoint=checkpoint,
            )
        for name, value in _learned(network, history).items():
            setattr(estimator, name, value)


def split(
    items: Sequence[Item], fraction: float, rng: np.random.Generator
) -> tuple[list[Item], list[Item]]:
    """Split utterances at random into those to train on and those to validate on.

    Parameters
    ----------
    items : sequence
        One object for each utterance.
    fraction : float
        Fraction for validation. Unless it is 0, at least one utterance is validated on,
        and at least one is trained on.
    rng : Generator
        Source of the order.

    Returns
    -------
    training, validation : list

    Examples
    --------
    >>> training, validation = split(range(10), 0.2, np.random.default_rng(0))
    >>> len(training), len(validation)
    (8, 2)
    """
    n_validation = 0
    if fraction > 0 and len(items) > 1:
        n_validation = max(1, round(fraction * len(items)))
        n_validation = min(n_validation, len(items) - 1)
    order = rng.permutation(len(items))
    shuffled = [items[k] for k in order]
    return shuffled[n_validation:], shuffled[:n_validation]


def _learned(network: nn.Module, history: History) -> dict[str, Any]:
    """Attributes that training sets."""
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
