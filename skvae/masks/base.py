"""Base of the enhancers whose mask is the output of a network."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skvae.base import BaseEnhancer
from skvae.enhancement import MaskEstimate
from skvae.signal.framing import at_level
from skvae.signal.spectrogram import Spectrogram
from skvae.training.estimator import TrainedEstimator
from skvae.training.networks import new_network
from skvae.training.noisy_batches import Mixtures
from skvae.training.on_mixtures import MixtureTrainer, TrainedOnMixtures
from skvae.training.parameters import LayerSizes
from skvae.training.parts import Data
from skvae.training.precision import autocast
from skvae.utils.device import torch_generator
from skvae.utils.threads import one_thread


class MaskEnhancer(TrainedOnMixtures, TrainedEstimator, BaseEnhancer):
    """Base of the enhancers whose mask is the output of a network.

    A subclass defines ``_network_class``, ``_make_config`` and ``_error``.
    """

    _block_overlap = 1.0
    _fills_band = True
    _takes_device = True
    _parameter_ranges = {
        "hidden_layer_sizes": LayerSizes(),
    }

    hidden_layer_sizes: Any

    @abstractmethod
    def _error(self, mask: Tensor, batch: Mixtures) -> tuple[Tensor, int]:
        """Return the mean error of masks over the frames, and the number of frames."""

    def _fit(
        self,
        noisy: list[Spectrogram] | None,
        clean: list[Spectrogram],
        rng: np.random.Generator,
    ) -> None:
        config = self._make_config(self.stft_)
        self._check_start(config)
        with one_thread():
            self._fit_network(Data(noisy, clean), config, rng)

    def _first_network(
        self, config: Any, trainer: MixtureTrainer, part: None
    ) -> nn.Module:
        network: Any = new_network(
            self._network_class, config, torch_generator(trainer.rng)
        )
        trainer.fit_bands(network.features, self._filters())
        return network

    def _filters(self) -> np.ndarray | None:
        """Weights of the bins in the bands that the network reads; None means mel."""
        return None

    def _loss(
        self,
        network: nn.Module,
        batch: Mixtures,
        generator: torch.Generator,
        is_training: bool,
    ) -> tuple[Tensor, int]:
        dropout = generator if is_training else None
        with autocast(generator.device.type, self._training.precision):
            mask = network(batch.noisy, batch.packing(), dropout)
        return self._error(mask.float(), batch)

    def _estimate_mask(
        self,
        V: np.ndarray,
        rng: np.random.Generator,
        state: Any,
        device: str | None = None,
    ) -> MaskEstimate:
        device = self._device(device)
        with one_thread(), torch.inference_mode():
            # A mean power of one, as in training.
            power = torch.from_numpy(at_level(V, 1.0).astype(np.float32))
            mask = self._network(device)(power.to(device))
        return MaskEstimate(mask.cpu().numpy())
