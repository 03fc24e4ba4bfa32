"""The one training loop: Adam, validation, early stopping, the best weights.

It knows neither speech nor what a batch is: those who call it bring batches and a loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

#: A step is shortened to this norm of the gradient, a hundred times what spectra give:
#: an impossible batch must not fill Adam's averages, let alone with infinity.
MAX_GRADIENT_NORM = 1e5

#: ``loss(batch, training)``: mean loss of the items of a batch, and their number.
Loss = Callable[[Any, bool], tuple[Tensor, int]]


@dataclass
class History:
    """What happened in training.

    Attributes
    ----------
    loss : list of float
        Mean training loss of each epoch, taken while it went on.
    validation_loss : list of float
        Validation loss after each epoch; empty without validation.
    best_epoch : int
        The epoch whose weights were kept, counted from 1; 0 stands for the start.
    best_loss : float
        Validation loss of these weights; the last training loss without validation.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf


def train(
    module: nn.Module,
    loss: Loss,
    batches: Callable[[], Iterable[Any]],
    validation_batches: Callable[[], Iterable[Any]] | None = None,
    *,
    max_iter: int,
    learning_rate: float = 1e-3,
    n_iter_no_change: int = 10,
    start_counts: bool = False,
    on_epoch: Callable[[History], bool] | None = None,
) -> History:
    """Train a module by Adam.

    Parameters
    ----------
    module : Module
        Its weights are changed in place; in the end they are the best ones.
    loss : callable
        Of a batch and whether it is trained on: the mean loss of the batch's items, a
        Tensor of shape (), and their number.
    batches : callable
        Gives the batches of an epoch; called once an epoch.
    validation_batches : callable, default=None
        Gives those to validate on. They, and what `loss` draws, should be the same each
        time. Without it the last weights are kept and nothing stops early.
    max_iter : int
        Epochs at most.
    learning_rate : float
        Of Adam.
    n_iter_no_change : int
        Training stops after so many epochs without a lower validation loss.
    start_counts : bool
        Whether the weights at the start are kept if no epoch improves on them.
    on_epoch : callable, default=None
        Called with the history after each epoch; true stops training.

    Returns
    -------
    History

    Raises
    ------
    FloatingPointError
        If the loss becomes NaN or infinite.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> module = nn.Linear(1, 1, bias=False)
    >>> x = torch.ones(4, 1)
    >>> def squared_error(batch, training):
    ...     return (module(batch) - 2).square().mean(), len(batch)
    >>> history = train(module, squared_error, lambda: [x], max_iter=300,
    ...                 learning_rate=0.05)
    >>> round(module.weight.item(), 2), history.best_epoch
    (2.0, 300)
    """
    history = History()
    step = training_step(module, loss, learning_rate)
    best: dict[str, Tensor] | None = None
    if start_counts and validation_batches is not None:
        history.best_loss = evaluate(loss, validation_batches())
        best = _copy(module)
    for epoch in range(1, max_iter + 1):
        history.loss.append(_mean(step(batch) for batch in batches()))
        _check_finite(history.loss[-1], epoch)
        if validation_batches is None:
            history.best_epoch, history.best_loss = epoch, history.loss[-1]
        else:
            history.validation_loss.append(evaluate(loss, validation_batches()))
            _check_finite(history.validation_loss[-1], epoch)
            if history.validation_loss[-1] < history.best_loss:
                history.best_epoch = epoch
                history.best_loss = history.validation_loss[-1]
                best = _copy(module)
        wants_to_stop = on_epoch is not None and on_epoch(history)
        if wants_to_stop or epoch - history.best_epoch >= n_iter_no_change:
            break
    if best is not None:
        module.load_state_dict(best)
    return history


def training_step(
    module: nn.Module, loss: Loss, learning_rate: float
) -> Callable[[Any], tuple[Tensor, int]]:
    """One step of Adam, as a function of a batch.

    Parameters
    ----------
    module : Module
        Its weights are changed in place.
    loss : callable
        As for :func:`train`.
    learning_rate : float
        Of Adam.

    Returns
    -------
    callable
        Takes a batch, gives its mean loss before the step and its number of items.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> module = nn.Linear(1, 1)
    >>> def mean_output(batch, training):
    ...     return module(batch).mean(), len(batch)
    >>> step = training_step(module, mean_output, learning_rate=0.1)
    >>> before = module.bias.item()
    >>> value, n_items = step(torch.zeros(3, 1))
    >>> n_items, round(before - module.bias.item(), 3)
    (3, 0.1)
    """
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    # One pass over the weights, where PyTorch has it.
    fused = all(weight.device.type in ("cpu", "cuda") for weight in weights)
    optimizer = torch.optim.Adam(weights, lr=learning_rate, fused=fused or None)

    def step(batch: Any) -> tuple[Tensor, int]:
        optimizer.zero_grad(set_to_none=True)
        mean, n_items = loss(batch, True)
        mean.backward()
        nn.utils.clip_grad_norm_(weights, MAX_GRADIENT_NORM, foreach=fused or None)
        optimizer.step()
        return mean.detach(), n_items

    return step


@torch.no_grad()
def evaluate(loss: Loss, batches: Iterable[Any]) -> float:
    """Mean loss over batches.

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
    >>> evaluate(mean, [torch.ones(3), torch.zeros(1)])
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
        # Summed where it is, as reading a number back waits for a GPU; and in place,
        # as a list of small tensors would hold the heap open between large ones.
        total.add_(mean.detach(), alpha=n_items)
        n_total += n_items
    if total is None:
        raise ValueError("there must be at least one batch, got none.")
    return total.item() / n_total


def _check_finite(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the loss of epoch {epoch} is {loss}: lower `learning_rate`."
        )


def _copy(module: nn.Module) -> dict[str, Tensor]:
    state = module.state_dict()
    return {name: tensor.detach().clone() for name, tensor in state.items()}
