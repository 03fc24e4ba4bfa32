r"""Noise-aware encoder for a variational autoencoder of clean speech, and its losses.

H. Fang, G. Carbajal, S. Wermter and T. Gerkmann, "Variational autoencoder for speech
enhancement with a noise-aware encoder", ICASSP 2021. A second encoder, of the same
architecture as that of clean speech, reads noisy speech x. Its posterior of the latent
variables shall be that of the first encoder for the clean speech s:

* In two steps, the autoencoder is trained on clean speech and stays constant. Then the
  divergence of the two posteriors is minimized (:func:`matching_loss`).
* Jointly, all weights minimize the sum of three parts (:func:`joint_loss`): the
  negative bound of clean speech with the posterior for clean speech, the same with the
  posterior for noisy speech, and the divergence.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from skvae.speech.losses import kl_between, negative_bound
from skvae.speech.vae_network import SpeechEncoder, SpeechNetwork, VAEConfig
from skvae.training.layers import frame_mean
from skvae.training.noisy_batches import Mixtures
from skvae.training.precision import autocast
from skvae.training.random import draw_rows

#: Directions of the divergence: KL(q(z | x) || q(z | s)), or the reverse.
DIRECTIONS = ("noisy||clean", "clean||noisy")


class NoiseAwareNetwork(SpeechNetwork):
    """Encoder of noisy speech, encoder of clean speech, and decoder of clean speech.

    It is a ``SpeechNetwork`` whose encoder reads noisy speech.

    Parameters
    ----------
    config : VAEConfig
        Sizes of the decoder and of both encoders.

    Attributes
    ----------
    clean : SpeechEncoder
        Encoder of clean speech.

    Examples
    --------
    >>> import torch
    >>> network = NoiseAwareNetwork(VAEConfig(5, 2, (8,)))
    >>> mean, log_variance = network.encode(torch.ones(7, 5))
    >>> network.clean.encode(torch.ones(7, 5))[0].shape, network.decode(mean).shape
    (torch.Size([7, 2]), torch.Size([7, 5]))
    """

    def __init__(self, config: VAEConfig):
        super().__init__(config)
        self.clean = SpeechEncoder(config)

    def hold_speech_model(self) -> None:
        """Exclude the decoder and the encoder of clean speech from training."""
        for module in (self.clean, self.decoder, self.log_variance):
            module.requires_grad_(False)


def draw_levels(
    level: tuple[float, float], batch: Mixtures, generator: torch.Generator
) -> Tensor:
    """Draw a level for each mixture, uniformly from (low, high].

    Parameters
    ----------
    level : (float, float)
        Limits of the range.
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
    """Return the divergence of the posteriors for noisy and for clean speech.

    It has no gradient for the encoder of clean speech.

    Parameters
    ----------
    network : NoiseAwareNetwork
        Network with both encoders.
    batch : Mixtures
        Noisy and clean power in the unit of the model.
    generator : torch.Generator
        Source of the dropout, on the device of the network.
    training : bool
        Whether units of the noise-aware encoder are dropped out.
    direction : {"noisy||clean", "clean||noisy"}
        KL(q(z | x) || q(z | s)) or KL(q(z | s) || q(z | x)).
    precision : {"float32", "bfloat16"}
        Arithmetic of the network; see :mod:`skvae.training.precision`.

    Returns
    -------
    mean : Tensor of shape ()
        Mean over the frames.
    n_frames : int

    Examples
    --------
    >>> import torch
    >>> network = NoiseAwareNetwork(VAEConfig(5, 2, (8,)))
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
    """Return the negative bounds with both encoders plus their divergence.

    Parameters
    ----------
    network : NoiseAwareNetwork
        Network with both encoders and the decoder.
    batch : Mixtures
        Noisy and clean power in the unit of the model.
    generator : torch.Generator
        Source of the draws and the dropout, on the device of the network.
    training : bool
        Whether units are dropped out.
    weights : (float, float, float)
        Weights of the bound with the encoder of clean speech, of the bound with the
        noise-aware encoder, and of the divergence.
    direction : {"noisy||clean", "clean||noisy"}
        KL(q(z | x) || q(z | s)) or KL(q(z | s) || q(z | x)).
    precision : {"float32", "bfloat16"}
        Arithmetic of the network; see :mod:`skvae.training.precision`.

    Returns
    -------
    mean : Tensor of shape ()
        Mean over the frames.
    n_frames : int

    Examples
    --------
    >>> import torch
    >>> network = NoiseAwareNetwork(VAEConfig(5, 2, (8,)))
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


def with_clean_encoder(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return weights of a noise-aware network that starts from a speech network.

    Parameters
    ----------
    state : mapping of str to ndarray
        Weights of a ``SpeechNetwork``, whose encoder becomes that of clean speech and
        of noisy speech.

    Returns
    -------
    dict of str to ndarray

    Examples
    --------
    >>> import numpy as np
    >>> state = {"encoder.bias": np.zeros(2), "decoder.bias": np.zeros(3)}
    >>> list(with_clean_encoder(state))
    ['encoder.bias', 'decoder.bias', 'clean.encoder.bias']
    """
    of_decoder = ("decoder.", "log_variance.")
    copied = {
        f"clean.{name}": array
        for name, array in state.items()
        if not name.startswith(of_decoder)
    }
    return {**state, **copied}
