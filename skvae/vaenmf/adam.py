"""The optimizer Adam on tensors, without the overhead of PyTorch's class."""

from __future__ import annotations

import torch
from torch import Tensor

#: Decay rates of the moments, and guard against division by zero.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Steps against a gradient, in place (Kingma and Ba, 2015).

    Parameters
    ----------
    parameters : tuple of Tensor
        Tensors that :meth:`step` changes.
    learning_rate : float
        Size of the first steps.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(1)
    >>> Adam((x,), learning_rate=0.1).step((torch.tensor([5.0]),))
    >>> x
    tensor([0.9000])
    """

    def __init__(self, parameters: tuple[Tensor, ...], learning_rate: float):
        self._parameters = parameters
        self._learning_rate = learning_rate
        self._moments = [
            (torch.zeros_like(part), torch.zeros_like(part)) for part in parameters
        ]
        self._n_steps = 0

    def step(self, gradients: tuple[Tensor, ...]) -> None:
        """Move each parameter, given its gradient."""
        self._n_steps += 1
        for parameter, gradient, (first, second) in zip(
            self._parameters, gradients, self._moments, strict=True
        ):
            first.lerp_(gradient, 1 - _BETA1)
            second.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
            scale = (second / (1 - _BETA2**self._n_steps)).sqrt_().add_(_EPSILON)
            step = self._learning_rate / (1 - _BETA1**self._n_steps)
            parameter.addcdiv_(first, scale, value=-step)
