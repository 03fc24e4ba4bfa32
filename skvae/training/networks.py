"""Networks with random weights, and networks as NumPy arrays.

An estimator keeps its network as a dictionary of arrays. A pickled PyTorch module would
also contain its device and refer to the code of its classes.

A network is a module that is made from a configuration and has it as `config`. A module
that registers buffers sets them to their first values in ``reset_buffers()``, and may
have ``buffer_ranges``, which model files are checked with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import nn

from skvae.utils.parameters import Number

Module = TypeVar("Module", bound=nn.Module)

#: Range of buffers that divide.
SCALES = Number(1e-12, 1e12)


@runtime_checkable
class Buffered(Protocol):
    """A module with buffers."""

    def reset_buffers(self) -> None:
        """Set the buffers to their first values."""


def new_network(
    make: Callable[[Any], Module], config: Any, generator: torch.Generator
) -> Module:
    """Return a network with random weights.

    Parameters
    ----------
    make : callable
        Class of the network.
    config : object
        Argument of `make`: the sizes of the network.
    generator : torch.Generator
        Source of the weights, on the CPU. The global generator is not used.

    Returns
    -------
    Module
        On the CPU.

    Raises
    ------
    TypeError
        If a module registers buffers without a method ``reset_buffers()``.

    Examples
    --------
    >>> import torch
    >>> from skvae.speech.vae_network import SpeechNetwork, VAEConfig
    >>> config, generator = VAEConfig(5, 2, (8,)), torch.Generator()
    >>> one, other = (
    ...     new_network(SpeechNetwork, config, generator.manual_seed(0))
    ...     for _ in range(2)
    ... )
    >>> torch.equal(one.latent_mean.weight, other.latent_mean.weight)
    True
    """
    network = _empty(make, config)
    for layer in network.modules():
        has_buffers = next(layer.buffers(recurse=False), None) is not None
        if has_buffers and not isinstance(layer, Buffered):
            raise TypeError(
                f"{type(layer).__name__} registers buffers: it must define "
                "`reset_buffers()`, which sets them to their first values."
            )
    initialize(network, generator)
    return network


def restored_network(
    make: Callable[[Any], Module], config: Any, state: Mapping[str, np.ndarray]
) -> Module:
    """Return a network with given weights.

    Parameters
    ----------
    make : callable
        Class of the network.
    config : object
        Argument of `make`: the sizes of the network.
    state : mapping of str to ndarray
        Weights and buffers, as :func:`to_arrays` returns them.

    Returns
    -------
    Module
        On the CPU.

    Raises
    ------
    ValueError
        If an array is missing, unknown, or of another shape.

    Examples
    --------
    >>> import torch
    >>> from skvae.speech.vae_network import SpeechNetwork, VAEConfig
    >>> network = new_network(SpeechNetwork, VAEConfig(5, 2, (8,)), torch.Generator())
    >>> again = restored_network(SpeechNetwork, network.config, to_arrays(network))
    >>> torch.equal(network.encode(torch.ones(1, 5))[0],
    ...             again.encode(torch.ones(1, 5))[0])
    True
    """
    network = _empty(make, config)
    load_arrays(network, state)
    return network


def _empty(make: Callable[[Any], Module], config: Any) -> Module:
    """Network on the CPU whose weights and buffers are not set."""
    # Modules draw their weights from the global generator, except on "meta".
    with torch.device("meta"):
        network = make(config)
    # Like `to_empty`, whose `empty_like` imports sympy: a second of each start.
    return network._apply(lambda t: torch.empty(t.shape, dtype=t.dtype, device="cpu"))


@torch.no_grad()
def initialize(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of all layers in a module, and reset its buffers.

    Matrices and kernels are Glorot uniform, weights of recurrent layers uniform, scales
    one and biases zero.

    Parameters
    ----------
    module : Module
        Consists of linear, convolutional, recurrent and normalization layers; changed
        in place.
    generator : torch.Generator
        Source of the weights, on the CPU. The global generator is not used.

    Examples
    --------
    >>> import torch
    >>> layer = torch.nn.Linear(3, 2)
    >>> initialize(layer, torch.Generator().manual_seed(0))
    >>> layer.bias.tolist()
    [0.0, 0.0]
    """
    for layer in module.modules():
        if isinstance(layer, nn.RNNBase):
            bound = layer.hidden_size**-0.5
            for weight in layer.parameters():
                weight.uniform_(-bound, bound, generator=generator)
            continue
        for name, weight in layer.named_parameters(recurse=False):
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight, generator=generator)
            else:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
        if isinstance(layer, Buffered):
            layer.reset_buffers()


def value_ranges(module: nn.Module) -> dict[str, Number]:
    """Return the ranges of the buffers that have one.

    Parameters
    ----------
    module : Module
        Its layers may have ``buffer_ranges``, a range for the name of a buffer.

    Returns
    -------
    dict of str to Number
        By their names in the state of the module.

    Examples
    --------
    >>> from skvae.speech.vae_network import SpeechNetwork, VAEConfig
    >>> [*value_ranges(SpeechNetwork(VAEConfig(5, 2, (8,))))]
    ['feature_scale']
    """
    return {
        f"{prefix}.{name}" if prefix else name: allowed
        for prefix, layer in module.named_modules()
        for name, allowed in getattr(layer, "buffer_ranges", {}).items()
    }


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
        If an array is missing, unknown, or of another shape.

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
