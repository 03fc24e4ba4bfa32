"""Training on clean speech: frames or sequences of frames, at random levels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skvae.signal.spectrogram import Spectrogram
from skvae.training.audio_cache import AudioCache
from skvae.training.clean_batches import (
    Batch,
    Utterance,
    frames_in_order,
    shuffled_frames,
    shuffled_sequences,
)
from skvae.training.estimator import TrainedEstimator
from skvae.training.loop import Optimization
from skvae.training.trainer import Trainer


class SpeechTrainer(Trainer):
    """Training run of an estimator's network on clean speech.

    Parameters
    ----------
    estimator : TrainedEstimator
        The estimator, which has `stft_` and `seed_`.
    clean : list of Spectrogram
        Clean speech.
    rng : Generator
        Source of all random numbers.
    level : (float, float)
        Range from which the level of an utterance is drawn in each epoch.
    validation_level : float
        Level of utterances in validation.
    with_sequences : bool
        Whether batches consist of sequences rather than of single frames.
    """

    def __init__(
        self,
        estimator: TrainedEstimator,
        clean: list[Spectrogram],
        rng: np.random.Generator,
        *,
        level: tuple[float, float],
        validation_level: float,
        with_sequences: bool,
    ):
        cache = AudioCache(estimator._training.max_cache_mb * 1e6)
        utterances = [Utterance(cache.wrap_spectrogram(s)) for s in clean]
        super().__init__(estimator, utterances, clean, rng)
        self.level = level
        self.validation_level = validation_level
        self.with_sequences = with_sequences

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of an epoch, in another order each time."""
        arguments = self.training, self.level, self.values.batch_size
        if self.with_sequences:
            length = self.values.sequence_length
            return shuffled_sequences(*arguments, length, self.rng)
        return shuffled_frames(*arguments, self.rng)

    def validation_batches(self, seed: int) -> Iterator[Batch]:
        """Yield the batches for validation, the same ones each time."""
        length = self.values.sequence_length if self.with_sequences else None
        return frames_in_order(self.validation, self.validation_level, length)

    def optimization(self) -> Optimization:
        """Return how weights are updated."""
        return Optimization(self.values.learning_rate)
