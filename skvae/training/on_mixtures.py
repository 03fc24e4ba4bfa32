"""Training on mixtures: pairs that are there, or clean speech mixed as it goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from skvae.datasets import Mixer, find_audio
from skvae.datasets.mixing.snr import check_same_rate
from skvae.signal.features import mel_filters
from skvae.signal.spectrogram import Spectrogram, reads_itself
from skvae.training.estimator import TrainedEstimator, cached
from skvae.training.parameters import TrainingValues
from skvae.utils.device import check_device

if TYPE_CHECKING:
    import torch
    from torch import nn

    from skvae.training.band_features import BandFeatures
    from skvae.training.clean_batches import AudioCache
    from skvae.training.noisy_batches import Mixtures, Source

#: Batches that the statistics of what a network reads are taken from.
N_MEASURED = 50
#: Least standard deviation of logarithms: beneath it there was nothing but silence.
LEAST_SCALE = 1e-3
#: Steps in which the learning rate rises to its value.
WARM_UP = 50
#: A step is shortened to this norm of the gradient: recurrent networks need a limit.
MAX_GRADIENT_NORM = 5.0

#: ``loss(batch, generator, training)``: mean loss of the frames, and their number.
MixtureLoss = Callable[
    ["Mixtures", "torch.Generator", bool], "tuple[torch.Tensor, int]"
]


class MixtureTrained(TrainedEstimator):
    """Base of estimators that learn from noisy speech and the clean speech in it."""

    mixer: Any

    _training_defaults = TrainingValues(
        max_iter=100,
        batch_size=12,
        sequence_length=125,
        n_combinations=2,
        decay=0.4,
        averaging=0.995,
        validation_fraction=0.1,
        n_iter_no_change=20,
    )

    def _make_part(self, name: str, value: Any) -> Any:
        if name == "mixer" and value is None:
            return Mixer()
        return super()._make_part(name, value)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.mixer is not None and (
            isinstance(self.mixer, type)
            or not hasattr(self.mixer, "mix")
            or not hasattr(self.mixer, "speech_length")
        ):
            raise ValueError(f"`mixer` must be None or a Mixer, got {self.mixer!r}.")

    def _sources(
        self, noisy: list[Spectrogram] | None, clean: list[Spectrogram]
    ) -> list[Source]:
        """Pairs where there is noisy speech, else mixtures that are made anew."""
        from skvae.training.clean_batches import AudioCache
        from skvae.training.noisy_batches import DynamicMixture, Pair

        cache = AudioCache(self._training.max_cache_mb * 1e6)
        clean = [cached(spectrogram, cache) for spectrogram in clean]
        if noisy is not None:
            noisy = [cached(spectrogram, cache) for spectrogram in noisy]
            return [Pair(x, s) for x, s in zip(noisy, clean, strict=True)]
        mixer = self._cached_mixer(clean[0], cache)
        return [DynamicMixture(_without_frames(s), mixer) for s in clean]

    def _cached_mixer(self, speech: Spectrogram, cache: AudioCache) -> Any:
        """Mixer whose noise is read through a cache, and is known to fit the speech."""
        mixer = Mixer() if self.mixer is None else clone(self.mixer, safe=False)
        noise = getattr(mixer, "noise", None)
        if isinstance(noise, str | os.PathLike):
            noise = find_audio(noise)
        if isinstance(noise, list | tuple):
            for item in noise:
                check_same_rate(speech, item)
            mixer.noise = [
                cache.wrap(item) if reads_itself(item) else item for item in noise
            ]
        return mixer

    def _train_on_mixtures(
        self,
        network: nn.Module,
        loss: MixtureLoss,
        training: list[Source],
        validation: list[Source],
        rng: np.random.Generator,
        *,
        data: list[Spectrogram],
        continued: bool = False,
    ) -> None:
        """Train a network that is on the device already."""
        import torch

        from skvae.training.loop import Optimization
        from skvae.training.noisy_batches import mixtures_in_order

        device, values = check_device(self.device), self._training
        training_seed, validation_seed = rng.integers(2**62, size=2).tolist()
        training_draws = torch.Generator(device).manual_seed(training_seed)
        validation_draws = torch.Generator(device)
        # Apple's GPUs know few functions of complex numbers.
        spectra_on = device if torch.device(device).type == "cuda" else "cpu"

        def of_batch(batch: Mixtures, is_training: bool) -> tuple[torch.Tensor, int]:
            generator = training_draws if is_training else validation_draws
            return loss(batch.to(device), generator, is_training)

        def validation_batches() -> Iterator[Mixtures]:
            # The same mixtures and draws each time, so that epochs can be compared.
            validation_draws.manual_seed(validation_seed)
            return mixtures_in_order(
                validation, values.sequence_length, validation_seed
            )

        self._train_network(
            network,
            of_batch,
            lambda: self._shuffled_mixtures(training, rng, spectra_on),
            validation_batches if validation else None,
            optimization=Optimization(
                values.learning_rate,
                warm_up=WARM_UP,
                decay=values.decay,
                averaging=values.averaging,
                max_gradient_norm=MAX_GRADIENT_NORM,
            ),
            generators={"mixtures": rng, "draws": training_draws},
            data=data,
            continued=continued,
        )

    def _shuffled_mixtures(
        self, sources: list[Source], rng: np.random.Generator, device: str = "cpu"
    ) -> Iterator[Mixtures]:
        from skvae.training.noisy_batches import shuffled_mixtures

        values = self._training
        return shuffled_mixtures(
            sources,
            values.batch_size,
            values.sequence_length,
            rng,
            values.n_combinations,
            device,
        )

    def _measured_mixtures(
        self, sources: list[Source], rng: np.random.Generator
    ) -> Iterator[Mixtures]:
        """Some mixtures, for statistics of what a network is going to read."""
        return islice(self._shuffled_mixtures(sources, rng), N_MEASURED)

    def _fit_bands(
        self, features: BandFeatures, sources: list[Source], rng: np.random.Generator
    ) -> None:
        """Fit the bands to the analysis, and what is read of them to the data."""
        import torch

        framing, sample_rate = self.stft_.framing(), self.stft_.sample_rate
        n_bands = features.filters.shape[1]
        filters = mel_filters(framing, sample_rate, n_bands, 0.0, None)
        # A band between two bins is empty, and stays so.
        filters = filters / filters.sum(0).clip(np.finfo(float).tiny)
        with torch.no_grad():
            features.filters.copy_(torch.from_numpy(filters))
            logarithms = torch.cat(
                [
                    features.logarithms(power[:length])
                    for batch in self._measured_mixtures(sources, rng)
                    for power, length in zip(batch.noisy, batch.lengths, strict=True)
                ]
            )
            features.mean.copy_(logarithms.mean(0))
            scale = (logarithms - features.mean).square().mean().sqrt()
            features.scale.copy_(scale.clamp_min_(LEAST_SCALE))


def _without_frames(spectrogram: Spectrogram) -> Spectrogram:
    """The same spectrogram, kept as a waveform, of which parts are had at once."""
    if spectrogram.source is not None:
        return spectrogram
    return Spectrogram.from_waveform(
        spectrogram.samples(), spectrogram.framing, spectrogram.sample_rate
    )
