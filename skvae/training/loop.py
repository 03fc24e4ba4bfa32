"""The training loop: Adam, validation, early stopping, and the best weights.

The caller provides the batches and their loss. A loss whose network computes in
:func:`skvae.training.precision.autocast` trains in that precision. In
:func:`skvae.training.distributed.team` several processes train.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from skvae.training.checkpoint import Checkpoint
from skvae.training.distributed import ALONE, Team, current_team
from skvae.utils.parameters import check_real

#: Maximum norm of the gradient of a step, a hundred times the norm of typical spectra.
#: It protects Adam's averages from a corrupt batch.
MAX_GRADIENT_NORM = 1e5

#: ``loss(batch, training)``: mean loss of the items of a batch, and their number.
Loss = Callable[[Any, bool], tuple[Tensor, int]]


@dataclass(frozen=True)
class Optimization:
    """Parameters of the steps of Adam.

    Parameters
    ----------
    learning_rate : float
        Learning rate between warm-up and decay.
    warm_up : int
        Number of steps over which the rate rises linearly from zero.
    decay : float
        Fraction of the epochs, at the end, over which the rate decays linearly to zero.
        Inside an epoch the rate assumes as many batches as in the previous epoch; it is
        constant in the first epoch.
    averaging : float
        Decay of the exponential moving average of the weights, which is validated and
        kept; 0 disables it. Training continues from the weights themselves.
    max_gradient_norm : float
        Maximum norm of the gradient of a step; longer gradients are scaled.

    Examples
    --------
    >>> optimization = Optimization(2.0, warm_up=4, decay=0.5)
    >>> [optimization.rate(n_steps, 0.0) for n_steps in range(6)]
    [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    >>> [optimization.rate(100, progress) for progress in (0.5, 0.75, 1.0)]
    [2.0, 1.0, 0.0]
    """

    learning_rate: float = 1e-3
    warm_up: int = 0
    decay: float = 0.0
    averaging: float = 0.0
    max_gradient_norm: float = MAX_GRADIENT_NORM

    def __post_init__(self) -> None:
        check_real("learning_rate", self.learning_rate, low=0, open_low=True)
        check_real("warm_up", self.warm_up, low=0, integer=True)
        check_real("decay", self.decay, low=0, high=1)
        check_real("averaging", self.averaging, low=0, high=1, open_high=True)
        check_real("max_gradient_norm", self.max_gradient_norm, low=0, open_low=True)

    def rate(self, n_steps: int, progress: float) -> float:
        """Return the learning rate of a step.

        Parameters
        ----------
        n_steps : int
            Number of steps before it.
        progress : float
            Fraction of the training before it, in [0, 1].

        Returns
        -------
        float
        """
        rate = self.learning_rate
        if n_steps < self.warm_up:
            rate *= (n_steps + 1) / self.warm_up
        if progress > 1 - self.decay:
            rate *= (1 - progress) / self.decay
        return rate


@dataclass
class History:
    """Losses of a training run.

    Attributes
    ----------
    loss : list of float
        Mean training loss of each epoch, over its steps.
    validation_loss : list of float
        Validation loss after each epoch; empty without validation.
    best_epoch : int
        Epoch whose weights are kept, counted from 1; 0 means the first weights.
    best_loss : float
        Validation loss of these weights; the last training loss without validation.
    n_steps : list of int
        Number of steps of each epoch.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf
    n_steps: list[int] = field(default_factory=list)


def train(
    module: nn.Module,
    loss: Loss,
    batches: Callable[[], Iterable[Any]],
    validation_batches: Callable[[], Iterable[Any]] | None = None,
    *,
    max_iter: int,
    optimization: Optimization | None = None,
    n_iter_no_change: int = 10,
    start_counts: bool = False,
    on_epoch: Callable[[History], bool] | None = None,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train a module by Adam.

    Each process of a :func:`skvae.training.distributed.team` computes a part of every
    batch. All of them end with the same weights and history, and the first one writes
    checkpoints.

    Parameters
    ----------
    module : Module
        The network. Its weights are changed in place; at the end they are the best.
    loss : callable
        Function of a batch and of whether to train on it. It returns the mean loss over
        the items of the batch, a Tensor of shape (), and their number.
    batches : callable
        Function that returns the batches of an epoch; called once per epoch.
    validation_batches : callable, default=None
        Function that returns the batches for validation. They, and the random numbers
        of `loss`, should be the same each time. Without validation the last weights are
        kept, and training does not stop early.
    max_iter : int
        Maximum number of epochs.
    optimization : Optimization, default=None
        Parameters of the steps; None means ``Optimization()``.
    n_iter_no_change : int
        Number of epochs without improvement of the validation loss before training
        stops.
    start_counts : bool
        Whether the first weights are kept if no epoch improves on them.
    on_epoch : callable, default=None
        Function of the history, called after each epoch while the module has the
        weights that were validated. Training stops if it returns True.
    checkpoint : Checkpoint, default=None
        Checkpoint, written after each epoch. If its file exists, training resumes from
        it, on a CPU with the same number of threads and processes to the same bits.
        `on_epoch` is then first called for the last epoch in it.

    Returns
    -------
    History

    Raises
    ------
    FloatingPointError
        If the loss becomes NaN or infinite.
    ValueError
        If the checkpoint is that of another training.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> module = nn.Linear(1, 1, bias=False)
    >>> x = torch.ones(4, 1)
    >>> def squared_error(batch, training):
    ...     return (module(batch) - 2).square().mean(), len(batch)
    >>> history = train(module, squared_error, lambda: [x], max_iter=300,
    ...                 optimization=Optimization(learning_rate=0.05))
    >>> round(module.weight.item(), 2), history.best_epoch
    (2.0, 300)
    """
    history = History()
    team = current_team()
    loss = team.divided(loss)
    step = TrainingStep(module, loss, optimization or Optimization(), team)
    best: Mapping[str, Tensor] = {}
    saved = None if checkpoint is None else checkpoint.load()
    device = next(module.parameters()).device
    n_found = team.count(saved is not None, device)
    if checkpoint is not None and n_found not in (0, team.size):
        raise ValueError(
            f"{n_found} of {team.size} processes have found the checkpoint "
            f"{checkpoint.path}: it must be in a folder that all of them can read."
        )
    team.broadcast(module.state_dict())
    if saved is not None:
        facts, tensors = saved
        history = History(**facts)
        step.load_state(tensors, sum(history.n_steps))
        best = tensors["best"]
    elif start_counts and validation_batches is not None:
        history.best_loss = mean_loss(loss, validation_batches())
        best = _copy(module)

    def is_over() -> bool:
        epoch = len(history.loss)
        wants_to_stop = False
        if epoch > 0 and on_epoch is not None:
            with step.averaged():
                wants_to_stop = team.count(bool(on_epoch(history)), device) > 0
        n_unchanged = epoch - history.best_epoch
        return wants_to_stop or epoch >= max_iter or n_unchanged >= n_iter_no_change

    while not is_over():
        epoch = len(history.loss) + 1
        n_before = step.n_steps
        history.loss.append(
            _mean(
                step(batch, (epoch - 1 + within) / max_iter)
                for batch, within in _with_progress(batches(), history.n_steps)
            )
        )
        history.n_steps.append(step.n_steps - n_before)
        _check_finite(history.loss[-1], epoch)
        latest = history.loss[-1]
        with step.averaged():
            if validation_batches is not None:
                latest = mean_loss(loss, validation_batches())
                history.validation_loss.append(latest)
                _check_finite(latest, epoch)
            if validation_batches is None or latest < history.best_loss:
                history.best_epoch, history.best_loss = epoch, latest
                best = _copy(module)
        if checkpoint is not None and team.is_first:
            checkpoint.save(asdict(history), {**step.state(), "best": best})
    if best:
        module.load_state_dict(best)
    return history


class TrainingStep:
    """One step of Adam, as a function of a batch.

    Parameters
    ----------
    module : Module
        The network, whose weights are changed in place.
    loss : callable
        As for :func:`train`.
    optimization : Optimization
        Parameters of the steps.
    team : Team, default=Team()
        Processes that take the step together, each with a part of the loss.

    Attributes
    ----------
    n_steps : int
        Number of steps taken.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> module = nn.Linear(1, 1)
    >>> def mean_output(batch, training):
    ...     return module(batch).mean(), len(batch)
    >>> step = TrainingStep(module, mean_output, Optimization(learning_rate=0.1))
    >>> before = module.bias.item()
    >>> value, n_items = step(torch.zeros(3, 1))
    >>> n_items, round(before - module.bias.item(), 3)
    (3, 0.1)
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        optimization: Optimization,
        team: Team = ALONE,
    ):
        self.n_steps = 0
        self._team = team
        self._module = module
        self._loss = loss
        self._optimization = optimization
        self._weights = {
            name: weight
            for name, weight in module.named_parameters()
            if weight.requires_grad
        }
        # One pass over the weights, if PyTorch supports it.
        self._fused = all(
            weight.device.type in ("cpu", "cuda") for weight in self._weights.values()
        )
        self._adam = torch.optim.Adam(
            list(self._weights.values()),
            lr=optimization.learning_rate,
            fused=self._fused or None,
        )
        self._averages = _detached(self._weights) if optimization.averaging else {}

    def __call__(self, batch: Any, progress: float = 0.0) -> tuple[Tensor, int]:
        """Take a step.

        Parameters
        ----------
        batch : object
            Argument of the loss.
        progress : float
            Fraction of the training before the step.

        Returns
        -------
        mean : Tensor of shape ()
            Mean loss before the step, over the part of the batch of this process.
        n_items : int
            Number of items of that part.
        """
        [group] = self._adam.param_groups
        group["lr"] = self._optimization.rate(self.n_steps, progress)
        self._adam.zero_grad(set_to_none=True)
        mean, n_items = self._loss(batch, True)
        mean.backward()
        self._team.average_gradients(self._weights, n_items)
        nn.utils.clip_grad_norm_(
            group["params"],
            self._optimization.max_gradient_norm,
            foreach=self._fused or None,
        )
        self._adam.step()
        self.n_steps += 1
        self._average()
        return mean.detach(), n_items

    @torch.no_grad()
    def _average(self) -> None:
        kept = self._optimization.averaging
        # No bias toward the first weights: the weights of all steps sum to one.
        share = (1 - kept) / (1 - kept**self.n_steps)
        for name, average in self._averages.items():
            average.lerp_(self._weights[name], share)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Return a context in which the module has the averaged weights, if any."""
        own = _detached(self._weights) if self._averages else {}
        self._set_weights(self._averages)
        try:
            yield
        finally:
            self._set_weights(own)

    @torch.no_grad()
    def _set_weights(self, weights: Mapping[str, Tensor]) -> None:
        for name, weight in weights.items():
            self._weights[name].copy_(weight)

    def state(self) -> dict[str, Mapping[str, Tensor]]:
        """Return all that the next step depends on, in groups.

        Returns
        -------
        dict of str to mapping of str to Tensor
            The tensors themselves, not copies.
        """
        return {
            "weights": self._module.state_dict(),
            "averages": self._averages,
            "adam": {
                f"{kind}/{name}": tensor
                for name, weight in self._weights.items()
                for kind, tensor in self._adam.state.get(weight, {}).items()
            },
        }

    def load_state(
        self, state: Mapping[str, Mapping[str, Tensor]], n_steps: int
    ) -> None:
        """Restore the state of another step of the same module.

        Parameters
        ----------
        state : mapping of str to mapping of str to Tensor
            Result of :meth:`state`.
        n_steps : int
            Number of steps taken.
        """
        self.n_steps = n_steps
        self._module.load_state_dict(state["weights"])
        for name, average in self._averages.items():
            average.copy_(state["averages"][name])
        positions = {name: position for position, name in enumerate(self._weights)}
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in state["adam"].items():
            kind, _, name = key.partition("/")
            moments.setdefault(positions[name], {})[kind] = tensor
        self._adam.load_state_dict({**self._adam.state_dict(), "state": moments})


@torch.no_grad()
def mean_loss(loss: Loss, batches: Iterable[Any]) -> float:
    """Return the mean loss over batches, and over the processes of a team.

    Parameters
    ----------
    loss : callable
        As for :func:`train`; called with ``training=False``.
    batches : iterable
        The batches.

    Returns
    -------
    float

    Examples
    --------
    >>> import torch
    >>> def mean(batch, training):
    ...     return batch.mean(), len(batch)
    >>> mean_loss(mean, [torch.ones(3), torch.zeros(1)])
    0.75
    """
    return _mean(loss(batch, False) for batch in batches)


def _mean(results: Iterable[tuple[Tensor, int]]) -> float:
    total: Tensor | None = None
    n_total = 0
    for mean, n_items in results:
        if total is None:
            # Apple's GPUs have no double precision.
            dtype = torch.float32 if mean.device.type == "mps" else torch.float64
            total = torch.zeros((), dtype=dtype, device=mean.device)
        # Summed on the device, since reading a number waits for a GPU; and in place,
        # since many small tensors between large ones would fragment the heap.
        total.add_(mean.detach(), alpha=n_items)
        n_total += n_items
    if total is None:
        raise ValueError("there must be at least one batch, got none.")
    team = current_team()
    if team.size > 1:
        total, n_all = team.sum(torch.stack([total, total.new_tensor(n_total)]))
        return (total / n_all).item()
    return total.item() / n_total


def _check_finite(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the loss of epoch {epoch} is {loss}: lower `learning_rate`."
        )


def _with_progress(
    batches: Iterable[Any], n_steps: list[int]
) -> Iterator[tuple[Any, float]]:
    """Yield batches with the estimated fraction of their epoch before them."""
    n_expected = n_steps[-1] if n_steps else math.inf
    for k, batch in enumerate(batches):
        yield batch, min(k / n_expected, 1.0)


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return _detached(module.state_dict())


def _detached(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
