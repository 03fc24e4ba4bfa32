r"""A noise-aware encoder beside a variational autoencoder of clean speech.

H. Fang, G. Carbajal, S. Wermter and T. Gerkmann, "Variational autoencoder for speech
enhancement with a noise-aware encoder", ICASSP 2021. A second encoder, of the same
kind as that of clean speech, reads noisy speech x and is to say of the latent variables
what the first one says of the clean speech s in it:

* in two steps, the autoencoder is trained on clean speech and stays as it is; then the
  divergence of the two posteriors is minimised (:func:`matching_loss`);
* jointly, the sum of three parts is minimised by all weights at once
  (:func:`joint_loss`): the negative bound of clean speech with the posterior of the
  clean speech, the same with that of the noisy speech, and the divergence.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from skvae.speech.losses import kl_between, negative_bound
from skvae.speech.vae_network import SpeechEncoder, SpeechNetwork, VAEConfig
from skvae.training.layers import empty, frame_mean, initialise
from skvae.training.noisy_batches import Mixtures
from skvae.training.precision import autocast
from skvae.training.random import draw_rows
from skvae.training.state import load_arrays

#: Which posterior is held against which: KL(q(z | x) || q(z | s)), or the reverse.
DIRECTIONS = ("noisy||clean", "clean||noisy")


class NoiseAwareNetwork(SpeechNetwork):
    """Encoder of noisy speech, decoder of clean speech, and the encoder of that.

    Where a network of clean speech is asked for, this one takes its place: it encodes
    noisy speech.

    Parameters
    ----------
    config : VAEConfig
        The sizes, the same for both encoders.

    Attributes
    ----------
    clean : SpeechEncoder
        The encoder of clean speech.

    Examples
    --------
    >>> import torch
    >>> network = initial_noise_aware_network(
    ...     VAEConfig(5, 2, (8,)), torch.Generator()
    ... )
    >>> mean, log_variance = network.encode(torch.ones(7, 5))
    >>> network.clean.encode(torch.ones(7, 5))[0].shape, network.decode(mean).shape
    (torch.Size([7, 2]), torch.Size([7, 5]))
    """

    def __init__(self, config: VAEConfig):
        super().__init__(config)
        self.clean = SpeechEncoder(config)

    def hold_speech_model(self) -> None:
        """Make the decoder and the encoder of clean speech constant."""
        for module in (self.clean, self.decoder, self.log_variance):
            module.requires_grad_(False)


def at_level(batch: Mixtures, level: float | Tensor) -> Mixtures:
    """Mixtures whose mean power is one, brought to another level.

    Parameters
    ----------
    batch : Mixtures
        The mixtures.
    level : float or Tensor of shape (B, 1, 1)
        Mean power that they are to have.

    Returns
    -------
    Mixtures

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1, 1, 1)
    >>> louder = at_level(Mixtures(one, one / 2, one / 2, torch.tensor([1])), 5.0)
    >>> louder.noisy.item(), louder.clean.item()
    (5.0, 2.5)
    """
    return batch._replace(
        noisy=batch.noisy * level, clean=batch.clean * level, cross=batch.cross * level
    )


def draw_levels(
    level: tuple[float, float], batch: Mixtures, generator: torch.Generator
) -> Tensor:
    """Draw a level for each mixture, uniformly from (low, high].

    Parameters
    ----------
    level : (float, float)
        The bounds.
    batch : Mixtures
        The mixtures.
    generator : torch.Generator
        Source of the levels.

    Returns
    -------
    Tensor of shape (B, 1, 1)
        On the device of the generator.

    Examples
    --------
    >>> import torch
    >>> power = torch.ones(3, 2, 2)
    >>> batch = Mixtures(power, power, power, torch.tensor([2, 2, 2]))
    >>> levels = draw_levels((0.0, 10.0), batch, torch.Generator())
    >>> levels.shape, bool(((levels > 0) & (levels <= 10)).all())
    (torch.Size([3, 1, 1]), True)
    """
    low, high = level
    shape = (len(batch.noisy), 1, 1)
    drawn = draw_rows(
        shape,
        lambda of_all: torch.rand(of_all, generator=generator, device=generator.device),
    )
    return high - (high - low) * drawn


def matching_loss(
    network: NoiseAwareNetwork,
    batch: Mixtures,
    generator: torch.Generator,
    training: bool = True,
    *,
    direction: str = "noisy||clean",
    precision: str = "float32",
) -> tuple[Tensor, int]:
    """Divergence of the posterior given noisy speech and that given clean speech.

    No gradient reaches the encoder of clean speech.

    Parameters
    ----------
    network : NoiseAwareNetwork
        The encoders.
    batch : Mixtures
        Noisy and clean power in the unit of the model.
    generator : torch.Generator
        Source of dropout. On the device of the network.
    training : bool
        Whether units of the noise-aware encoder are dropped out.
    direction : {"noisy||clean", "clean||noisy"}
        Which divergence, KL(q(z | x) || q(z | s)) or KL(q(z | s) || q(z | x)).
    precision : {"float32", "bfloat16"}
        What the network computes with; see :mod:`skvae.training.precision`.

    Returns
    -------
    mean : Tensor of shape ()
        Mean over the frames.
    n_frames : int

    Examples
    --------
    >>> import torch
    >>> network = initial_noise_aware_network(
    ...     VAEConfig(5, 2, (8,)), torch.Generator()
    ... )
    >>> power = torch.ones(1, 7, 5)
    >>> batch = Mixtures(power, power, power, torch.tensor([7]))
    >>> mean, n_frames = matching_loss(network, batch, torch.Generator())
    >>> bool(mean >= 0), n_frames
    (True, 7)
    """
    dropout = generator if training else None
    of_noisy = _posterior(network, batch, batch.noisy, dropout, precision)
    with torch.no_grad():
        of_clean = _posterior(network.clean, batch, batch.clean, None, precision)
    return frame_mean(_divergence(of_noisy, of_clean, direction), batch.lengths)


def joint_loss(
    network: NoiseAwareNetwork,
    batch: Mixtures,
    generator: torch.Generator,
    training: bool = True,
    *,
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
    direction: str = "noisy||clean",
    precision: str = "float32",
) -> tuple[Tensor, int]:
    """Bounds of clean speech with both encoders, and the divergence of the two.

    Parameters
    ----------
    network : NoiseAwareNetwork
        Both encoders, and the decoder.
    batch : Mixtures
        Noisy and clean power in the unit of the model.
    generator : torch.Generator
        Source of the draws, first that of the encoder of clean speech, and of dropout.
        On the device of the network.
    training : bool
        Whether units are dropped out.
    weights : (float, float, float)
        Of the bound with the encoder of clean speech, of that with the noise-aware one,
        and of the divergence.
    direction : {"noisy||clean", "clean||noisy"}
        Which divergence, KL(q(z | x) || q(z | s)) or KL(q(z | s) || q(z | x)).
    precision : {"float32", "bfloat16"}
        What the network computes with; see :mod:`skvae.training.precision`.

    Returns
    -------
    mean : Tensor of shape ()
        Mean over the frames.
    n_frames : int

    Examples
    --------
    >>> import torch
    >>> network = initial_noise_aware_network(
    ...     VAEConfig(5, 2, (8,)), torch.Generator()
    ... )
    >>> power = torch.ones(1, 7, 5)
    >>> batch = Mixtures(power, power, power, torch.tensor([7]))
    >>> mean, n_frames = joint_loss(network, batch, torch.Generator())
    >>> mean.shape, n_frames
    (torch.Size([]), 7)
    """
    lengths = batch.packing()
    dropout = generator if training else None
    of_clean = _posterior(network.clean, batch, batch.clean, dropout, precision)
    of_noisy = _posterior(network, batch, batch.noisy, dropout, precision)
    with_clean, with_noisy = (
        negative_bound(
            network,
            posterior,
            batch.clean,
            generator,
            lengths=lengths,
            dropout=dropout,
            precision=precision,
        )
        for posterior in (of_clean, of_noisy)
    )
    parts = with_clean, with_noisy, _divergence(of_noisy, of_clean, direction)
    weighted = [w * part for w, part in zip(weights, parts, strict=True)]
    return frame_mean(torch.stack(weighted).sum(0), batch.lengths)


def _posterior(
    encoder: SpeechEncoder,
    batch: Mixtures,
    power: Tensor,
    dropout: torch.Generator | None,
    precision: str,
) -> tuple[Tensor, Tensor]:
    with autocast(power.device.type, precision):
        mean, log_variance = encoder.encode(power, batch.packing(), dropout)
    return mean.to(power.dtype), log_variance.to(power.dtype)


def _divergence(
    of_noisy: tuple[Tensor, Tensor], of_clean: tuple[Tensor, Tensor], direction: str
) -> Tensor:
    if direction == "noisy||clean":
        return kl_between(of_noisy, of_clean)
    return kl_between(of_clean, of_noisy)


def initial_noise_aware_network(
    config: VAEConfig, generator: torch.Generator
) -> NoiseAwareNetwork:
    """Networks with random weights.

    Parameters
    ----------
    config : VAEConfig
        Their sizes.
    generator : torch.Generator
        Source of the weights, on the CPU. The global one is not touched.

    Returns
    -------
    NoiseAwareNetwork

    Examples
    --------
    >>> import torch
    >>> network = initial_noise_aware_network(
    ...     VAEConfig(5, 2, (8,)), torch.Generator()
    ... )
    >>> network.feature_scale.item(), network.clean.feature_scale.item()
    (1.0, 1.0)
    """
    network = empty(lambda: NoiseAwareNetwork(config))
    for encoder in (network, network.clean):
        encoder.feature_mean.zero_()
        encoder.feature_scale.fill_(1.0)
    initialise(network, generator)
    return network


def noise_aware_network_from(
    config: VAEConfig, state: Mapping[str, np.ndarray]
) -> NoiseAwareNetwork:
    """Networks with given weights.

    Parameters
    ----------
    config : VAEConfig
        Their sizes.
    state : mapping of str to ndarray
        The weights, as :func:`skvae.training.state.to_arrays` gives them; or those of
        a ``SpeechNetwork``, from whose encoder both encoders then start.

    Returns
    -------
    NoiseAwareNetwork
        On the CPU.

    Examples
    --------
    >>> import torch
    >>> from skvae.training.state import to_arrays
    >>> from skvae.speech.vae_network import initial_network
    >>> speech = initial_network(VAEConfig(5, 2, (8,)), torch.Generator())
    >>> network = noise_aware_network_from(speech.config, to_arrays(speech))
    >>> power = torch.ones(7, 5)
    >>> torch.equal(network.encode(power)[0], network.clean.encode(power)[0])
    True
    """
    network = empty(lambda: NoiseAwareNetwork(config))
    if not any(name.startswith("clean.") for name in state):
        of_encoder = network.clean.state_dict()
        state = {**state, **{f"clean.{name}": state[name] for name in of_encoder}}
    load_arrays(network, state)
    return network
