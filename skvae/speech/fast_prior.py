"""Encoder and decoder for inference, with constant products computed beforehand."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from skvae.signal.bandwidth import IMAGE_POWER, image_bins
from skvae.speech.prior import SpeechPrior
from skvae.speech.vae_network import SpeechNetwork, bounded
from skvae.training.layers import ACTIVATIONS, FeedForward


def fast_prior(
    network: SpeechNetwork, lengths: Tensor | None = None, edge: int | None = None
) -> SpeechPrior:
    """Return the speech prior of a trained network, for repeated calls.

    Its functions agree with ``network.encode`` and ``network.decode`` up to rounding.
    For dense networks, the first layer includes centering and scaling of the encoder's
    input, the two outputs are one product, and results go into existing memory.

    Parameters
    ----------
    network : SpeechNetwork
        Network whose weights no longer change. The functions of a subclass that defines
        ``encode`` or ``decode`` are called as they are.
    lengths : Tensor of int, shape (B,), default=None
        Numbers of frames of padded sequences, on the CPU: a network that joins frames
        must not read the padding.
    edge : int, default=None
        Number of bins, from the lowest on, of a recording of a narrower band. The
        encoder reads an image in place of the others, as in
        :func:`~skvae.signal.bandwidth.fill_band`. None means all bins.

    Returns
    -------
    SpeechPrior

    Examples
    --------
    >>> from skvae.speech.vae_network import VAEConfig
    >>> network = SpeechNetwork(VAEConfig(5, 2, (8,)))
    >>> mean, log_variance = fast_prior(network).encode(torch.ones(7, 5))
    >>> mean.shape
    torch.Size([7, 2])
    """
    n_bins = network.config.n_bins
    edge = n_bins if edge is None else edge
    image = torch.from_numpy(image_bins(edge, n_bins))

    def whole(power: Tensor) -> Tensor:
        if edge == n_bins:
            return power
        return torch.cat([power, IMAGE_POWER * power[..., image]], -1)

    def decode(z: Tensor) -> Tensor:
        return network.decode(z, lengths)[..., :edge]

    cls = type(network)
    is_own = cls.encode is SpeechNetwork.encode and cls.decode is SpeechNetwork.decode
    if not is_own or not isinstance(network.encoder, FeedForward):
        return SpeechPrior(
            lambda power: network.encode(whole(power), lengths),
            decode,
            decodes_framewise=False,
        )
    activation = ACTIVATIONS[network.config.activation]
    slope = _SLOPES[network.config.activation]
    reading, *others = _dense_layers(network.encoder)
    dense = _dense_layers(network.decoder)
    scale = network.feature_scale
    weight = (reading.weight / scale).T.contiguous()
    bias = reading.bias - reading.weight @ (network.feature_mean / scale)
    heads = (network.latent_mean, network.latent_log_variance)
    head_weight = torch.cat([head.weight for head in heads]).T.contiguous()
    head_bias = torch.cat([head.bias for head in heads])
    config = network.config
    memory: list[Tensor] = []

    def encode(power: Tensor) -> tuple[Tensor, Tensor]:
        power = whole(power)
        shape = (*power.shape[:-1], config.n_features)
        if not memory or memory[0].shape != shape:
            memory[:] = [power.new_empty(shape)]
        [features] = memory
        first, *second = features.split(n_bins, -1)
        torch.add(power, config.floor, out=first)
        if second:
            second[0].copy_(first)
        if config.features != "power":
            first.log_()
        hidden = activation(torch.addmm(bias, _frames(features), weight))
        for layer in others:
            hidden = activation(layer(hidden))
        outputs = torch.addmm(head_bias, hidden, head_weight)
        mean, log_variance = outputs.view(*power.shape[:-1], -1).chunk(2, -1)
        return mean, bounded(log_variance)

    last_weight = network.log_variance.weight[:edge]
    last_bias = network.log_variance.bias[:edge]

    def decode_into(z: Tensor, out: Tensor) -> Tensor:
        hidden = network.decoder(_frames(z))
        torch.addmm(last_bias, hidden, last_weight.T, out=out.view(len(hidden), -1))
        return out

    def linearise(z: Tensor, out: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        outputs = [_frames(z)]
        for layer in dense:
            outputs.append(activation(layer(outputs[-1])))
        hidden = outputs[-1]
        torch.addmm(last_bias, hidden, last_weight.T, out=out.view(len(hidden), -1))

        def pullback(gradient: Tensor) -> Tensor:
            gradient = _frames(gradient) @ last_weight
            for layer, output in zip(dense[::-1], outputs[:0:-1], strict=True):
                gradient = (gradient * slope(output)) @ layer.weight
            return gradient.view(z.shape)

        return out, pullback

    return SpeechPrior(encode, decode, decode_into, linearise)


def _frames(x: Tensor) -> Tensor:
    """Stack frames (..., D), so that a dense layer is one matrix product."""
    return x.reshape(-1, x.shape[-1])


def _dense_layers(stack: nn.Module) -> list[nn.Linear]:
    return [layer for layer in stack.modules() if isinstance(layer, nn.Linear)]


#: Derivatives of the activations, as functions of their values.
_SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": lambda value: 1 - value * value,
    "relu": lambda value: (value > 0).to(value.dtype),
}
