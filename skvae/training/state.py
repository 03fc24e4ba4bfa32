"""Weights as NumPy arrays: how models are kept, whatever device they were trained on.

A pickled PyTorch module remembers its device and the code of its classes; a dictionary
of arrays remembers nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn


def to_arrays(module: nn.Module) -> dict[str, np.ndarray]:
    """Copy the weights and buffers of a module.

    Parameters
    ----------
    module : Module
        On any device.

    Returns
    -------
    dict of str to ndarray

    Examples
    --------
    >>> from torch import nn
    >>> {name: array.shape for name, array in to_arrays(nn.Linear(3, 2)).items()}
    {'weight': (2, 3), 'bias': (2,)}
    """
    state = module.state_dict()
    return {
        name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()
    }


def load_arrays(module: nn.Module, state: Mapping[str, np.ndarray]) -> None:
    """Copy arrays into the weights and buffers of a module.

    Parameters
    ----------
    module : Module
        On any device; changed in place.
    state : mapping of str to ndarray
        An array for each of its weights and buffers.

    Raises
    ------
    ValueError
        If one is missing, unknown or of another shape.

    Examples
    --------
    >>> from torch import nn
    >>> load_arrays(nn.Linear(3, 2), {"weight": np.ones((2, 3))})
    Traceback (most recent call last):
        ...
    ValueError: the state lacks 'bias'.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    for name in [*wanted, *state]:
        if name not in state:
            raise ValueError(f"the state lacks {name!r}.")
        if name not in wanted:
            raise ValueError(f"the state has {name!r}, which the module lacks.")
        shape = np.shape(state[name])
        if shape != wanted[name]:
            raise ValueError(
                f"{name!r} must have shape {wanted[name]}, got an array of {shape}."
            )
    module.load_state_dict({name: torch.tensor(array) for name, array in state.items()})
