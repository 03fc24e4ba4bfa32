"""Training on mixtures: recorded pairs, or clean speech mixed in training."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone

from skvae.datasets import Mixer, find_audio
from skvae.datasets.mixing.snr import check_same_rate
from skvae.signal.features import mel_filters
from skvae.signal.spectrogram import Spectrogram, reads_itself
from skvae.training.audio_cache import AudioCache
from skvae.training.band_features import BandFeatures
from skvae.training.estimator import TrainedEstimator
from skvae.training.loop import Optimization
from skvae.training.noisy_batches import (
    DynamicMixture,
    Mixtures,
    Pair,
    Source,
    mixtures_in_order,
    shuffled_mixtures,
)
from skvae.training.parameters import Training, TrainingValues
from skvae.training.parts import Data
from skvae.training.trainer import Trainer
from skvae.utils.parameters import Range

#: Number of batches from which the statistics of the input are measured.
N_MEASURED = 50
#: Least standard deviation of logarithms; smaller ones only occur in silence.
LEAST_SCALE = 1e-3
#: Number of steps over which the learning rate rises linearly.
WARM_UP = 50
#: Maximum norm of the gradient of a step, which recurrent networks need.
MAX_GRADIENT_NORM = 5.0


class Mixing:
    """Range of the parameter `mixer`: None, or an object that mixes.

    Examples
    --------
    >>> Mixing().check("mixer", "noise")
    Traceback (most recent call last):
        ...
    ValueError: `mixer` must be None or a Mixer, got 'noise'.
    """

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError unless a value is None or has the methods of a Mixer."""
        mixes = hasattr(value, "mix") and hasattr(value, "speech_length")
        if value is not None and (isinstance(value, type) or not mixes):
            raise ValueError(f"`{name}` must be None or a Mixer, got {value!r}.")


class TrainedOnMixtures:
    """Mixin of estimators that learn from noisy speech and its clean speech."""

    mixer: Any

    _parameter_ranges: ClassVar[Mapping[str, Range | None]] = {"mixer": Mixing()}
    _default_parts: ClassVar[Mapping[str, type]] = {
        "training": Training,
        "mixer": Mixer,
    }
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

    def _make_trainer(self, data: Data, rng: np.random.Generator) -> MixtureTrainer:
        return MixtureTrainer(self, self.mixer, data, rng)  # type: ignore[arg-type]


class MixtureTrainer(Trainer):
    """Training run of an estimator's network on mixtures.

    Parameters
    ----------
    estimator : TrainedEstimator
        The estimator, which has `stft_` and `seed_`.
    mixer : Mixer or None
        Source of noise for clean speech; None means ``Mixer()``.
    data : Data
        Pairs of noisy and clean speech, or clean speech, which is mixed anew in each
        epoch.
    rng : Generator
        Source of all random numbers.
    """

    def __init__(
        self,
        estimator: TrainedEstimator,
        mixer: Any,
        data: Data,
        rng: np.random.Generator,
    ):
        cache = AudioCache(estimator._training.max_cache_mb * 1e6)
        clean = [cache.wrap_spectrogram(s) for s in data.clean]
        sources: list[Source]
        if data.noisy is None:
            mixer = _cached_mixer(mixer, clean[0], cache)
            sources = [DynamicMixture(_without_frames(s), mixer) for s in clean]
        else:
            noisy = [cache.wrap_spectrogram(x) for x in data.noisy]
            sources = [Pair(x, s) for x, s in zip(noisy, clean, strict=True)]
        recordings = [*(data.noisy or []), *data.clean]
        super().__init__(estimator, sources, recordings, rng)

    def batches(self) -> Iterator[Mixtures]:
        """Yield the batches of an epoch, in another order each time."""
        # Apple's GPUs support few functions of complex numbers.
        on_cuda = torch.device(self.device).type == "cuda"
        return self._shuffled(self.device if on_cuda else "cpu")

    def validation_batches(self, seed: int) -> Iterator[Mixtures]:
        """Yield the batches for validation, the same ones each time."""
        return mixtures_in_order(self.validation, self.values.sequence_length, seed)

    def optimization(self) -> Optimization:
        """Return how weights are updated."""
        return Optimization(
            self.values.learning_rate,
            warm_up=WARM_UP,
            decay=self.values.decay,
            averaging=self.values.averaging,
            max_gradient_norm=MAX_GRADIENT_NORM,
        )

    def measured(self) -> Iterator[Mixtures]:
        """Yield some batches, to measure statistics of the input from."""
        return islice(self._shuffled("cpu"), N_MEASURED)

    def fit_bands(
        self, features: BandFeatures, filters: np.ndarray | None = None
    ) -> None:
        """Fit the bands to the STFT, and their standardization to the data.

        Parameters
        ----------
        features : BandFeatures
            On the CPU; changed in place.
        filters : ndarray of shape (F, M), default=None
            Weights of the bins in each band. None means mel bands.
        """
        if filters is None:
            stft = self.estimator.stft_
            n_bands = features.filters.shape[1]
            filters = mel_filters(stft.framing(), stft.sample_rate, n_bands, 0.0, None)
            # A band between two bins is empty, and stays so.
            filters = filters / filters.sum(0).clip(np.finfo(float).tiny)
        with torch.no_grad():
            features.filters.copy_(torch.from_numpy(filters))
            logarithms = torch.cat(
                [
                    features.logarithms(power[:length])
                    for batch in self.measured()
                    for power, length in zip(batch.noisy, batch.lengths, strict=True)
                ]
            )
            features.mean.copy_(logarithms.mean(0))
            scale = (logarithms - features.mean).square().mean().sqrt()
            features.scale.copy_(scale.clamp_min_(LEAST_SCALE))

    def _shuffled(self, device: str) -> Iterator[Mixtures]:
        values = self.values
        return shuffled_mixtures(
            self.training,
            values.batch_size,
            values.sequence_length,
            self.rng,
            values.n_combinations,
            device,
        )


def _cached_mixer(mixer: Any, speech: Spectrogram, cache: AudioCache) -> Any:
    """Copy of a mixer that reads its noise through a cache.

    Its noise must have the sample rate of the speech.
    """
    mixer = Mixer() if mixer is None else clone(mixer, safe=False)
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


def _without_frames(spectrogram: Spectrogram) -> Spectrogram:
    """The same spectrogram, stored as a waveform, of which parts are read at once."""
    if spectrogram.source is not None:
        return spectrogram
    return Spectrogram.from_waveform(
        spectrogram.samples(), spectrogram.framing, spectrogram.sample_rate
    )
