"""Encoder and decoder for inference: what does not change is multiplied beforehand."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from skvae.algorithms.vaenmf.model import SpeechPrior
from skvae.networks.vae import ACTIVATIONS, FeedForward, SpeechNetwork, bounded


def speech_prior(network: SpeechNetwork) -> SpeechPrior:
    """Functions of a trained network, as an inference calls them again and again.

    They agree with ``network.encode`` and ``network.decode`` up to rounding. For dense
    networks, centring and scaling of the encoder's input are part of its first layer,
    its two outputs are one product, and results go into memory that is there.

    Parameters
    ----------
    network : SpeechNetwork
        Its weights must not change any more.

    Returns
    -------
    SpeechPrior

    Examples
    --------
    >>> from skvae.networks.vae import VAEConfig, initial_network
    >>> network = initial_network(VAEConfig(5, 2, (8,)), torch.Generator())
    >>> mean, log_variance = speech_prior(network).encode(torch.ones(7, 5))
    >>> mean.shape
    torch.Size([7, 2])
    """
    if not isinstance(network.encoder, FeedForward):
        return SpeechPrior(network.encode, network.decode)
    activation = ACTIVATIONS[network.config.activation]
    slope = _SLOPES[network.config.activation]
    first, *others = _dense_layers(network.encoder)
    dense = _dense_layers(network.decoder)
    scale = network.feature_scale
    weight = (first.weight / scale).T.contiguous()
    bias = first.bias - first.weight @ (network.feature_mean / scale)
    heads = (network.latent_mean, network.latent_log_variance)
    head_weight = torch.cat([head.weight for head in heads]).T.contiguous()
    head_bias = torch.cat([head.bias for head in heads])
    is_log, floor = network.config.features == "log", network.config.floor
    memory: list[Tensor] = []

    def encode(power: Tensor) -> tuple[Tensor, Tensor]:
        if not memory or memory[0].shape != power.shape:
            memory[:] = [torch.empty_like(power)]
        features = torch.add(power, floor, out=memory[0])
        if is_log:
            features.log_()
        hidden = activation(torch.addmm(bias, features, weight))
        for layer in others:
            hidden = activation(layer(hidden))
        mean, log_variance = torch.addmm(head_bias, hidden, head_weight).chunk(2, 1)
        return mean, bounded(log_variance)

    last = network.log_variance

    def decode_into(z: Tensor, out: Tensor) -> Tensor:
        return torch.addmm(last.bias, network.decoder(z), last.weight.T, out=out)

    def linearise(z: Tensor, out: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        outputs = [z]
        for layer in dense:
            outputs.append(activation(layer(outputs[-1])))
        torch.addmm(last.bias, outputs[-1], last.weight.T, out=out)

        def pullback(gradient: Tensor) -> Tensor:
            gradient = gradient @ last.weight
            for layer, output in zip(dense[::-1], outputs[:0:-1], strict=True):
                gradient = (gradient * slope(output)) @ layer.weight
            return gradient

        return out, pullback

    return SpeechPrior(encode, network.decode, decode_into, linearise)


def _dense_layers(stack: nn.Module) -> list[nn.Linear]:
    return [layer for layer in stack.modules() if isinstance(layer, nn.Linear)]


#: Slopes of the activations, as functions of their values.
_SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": lambda value: 1 - value * value,
    "relu": lambda value: (value > 0).to(value.dtype),
}
