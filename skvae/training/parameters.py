"""How networks are trained: one parameter object for all estimators that have them."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import Any

from sklearn.base import BaseEstimator

from skvae.utils.parameters import (
    MAX_DRAWS,
    MAX_FRAMES,
    MAX_ITERATIONS,
    MAX_UNITS,
    MAX_WEIGHT,
    Number,
    Option,
    check_real,
)

#: Arithmetic that networks may be trained in; see :mod:`skvae.training.precision`.
PRECISIONS = ("float32", "bfloat16")

#: Most layers of a network.
_MAX_LAYERS = 100


class Training(BaseEstimator):
    """Parameters of the training of a network.

    Every parameter is None by default, which means the default of the estimator; the
    notes list these. An estimator refuses a parameter that it does not use.

    Parameters
    ----------
    max_iter : int, default=None
        Maximum number of epochs.
    batch_size : int, default=None
        Number of sequences in a batch; of frames for a :class:`SpeechVAE` whose
        architecture is "feedforward".
    sequence_length : int, default=None
        Length in frames of the sequences that utterances are cut into.
    n_combinations : int, default=None
        Number of batches formed from each set of mixtures by re-pairing speech and
        noise, which takes less time than new mixtures; 1 disables re-pairing.
    learning_rate : float, default=None
        Learning rate of Adam.
    decay : float, default=None
        Fraction of the epochs, at the end, over which the learning rate decays linearly
        to zero.
    averaging : float, default=None
        Decay of the exponential moving average of the weights, which is validated and
        kept; 0 disables it.
    precision : {"float32", "bfloat16"}, default=None
        Arithmetic of the network in training. bfloat16 takes 40 % of the time on CPUs
        that support it; others use float32.
    validation_fraction : float, default=None
        Fraction of the utterances held out for early stopping. With 0, or a single
        utterance, training uses all of them and takes `max_iter` epochs.
    n_iter_no_change : int, default=None
        Number of epochs without improvement of the validation loss before training
        stops.
    max_cache_mb : float, default=None
        Memory for decoded audio in MB; 1 MB holds half a minute at 16 kHz and 16 bits.
        Audio beyond it is read again in each epoch. Results do not depend on it.
    warm_start : bool, default=None
        Whether `fit` continues from the weights of the previous `fit`.
    checkpoint : path, default=None
        Checkpoint, written after each epoch. If it exists, `fit` resumes from it, on a
        CPU with the same result as without the interruption. It requires the same data
        and parameters, and an integer `random_state`. None means no checkpoint.

    See Also
    --------
    DNNMask, BiLSTMMask, BandSplitMask : Enhancers by masks, which use it.
    SpeechVAE, DenoisingVAE, NoiseAwareVAE : Speech models, which use it.

    Notes
    -----
    The defaults of the estimators:

    =================== ========= ==========================================
    parameter           SpeechVAE DNNMask, BiLSTMMask, BandSplitMask,
                                  DenoisingVAE, NoiseAwareVAE
    =================== ========= ==========================================
    max_iter            200       100
    batch_size          128       12
    sequence_length     64        125
    n_combinations      not used  2
    learning_rate       0.001     0.001
    decay               not used  0.4
    averaging           not used  0.995
    precision           not used  "float32"
    validation_fraction 0.2       0.1
    n_iter_no_change    10        20
    max_cache_mb        256       256
    warm_start          False     False
    checkpoint          None      None
    =================== ========= ==========================================

    Examples
    --------
    >>> from skvae import BiLSTMMask, Training
    >>> enhancer = BiLSTMMask(training=Training(max_iter=40, batch_size=16))
    >>> enhancer.set_params(training__learning_rate=2e-3).training
    Training(batch_size=16, learning_rate=0.002, max_iter=40)
    >>> BiLSTMMask().set_params(training__max_iter=10).training
    Training(max_iter=10)
    """

    _parameter_ranges = {
        "max_iter": Number(1, MAX_ITERATIONS, integer=True, optional=True),
        "batch_size": Number(1, MAX_UNITS, integer=True, optional=True),
        "sequence_length": Number(1, MAX_FRAMES, integer=True, optional=True),
        "n_combinations": Number(1, MAX_DRAWS, integer=True, optional=True),
        "learning_rate": Number(0, MAX_WEIGHT, open_low=True, optional=True),
        "decay": Number(low=0, high=1, optional=True),
        "averaging": Number(low=0, high=1, open_high=True, optional=True),
        "precision": Option(*PRECISIONS, None),
        "validation_fraction": Number(low=0, high=1, open_high=True, optional=True),
        "n_iter_no_change": Number(1, MAX_ITERATIONS, integer=True, optional=True),
        "max_cache_mb": Number(low=0, high=1e9, optional=True),
        "warm_start": Option(True, False, None),
    }

    def __init__(
        self,
        max_iter: int | None = None,
        *,
        batch_size: int | None = None,
        sequence_length: int | None = None,
        n_combinations: int | None = None,
        learning_rate: float | None = None,
        decay: float | None = None,
        averaging: float | None = None,
        precision: str | None = None,
        validation_fraction: float | None = None,
        n_iter_no_change: int | None = None,
        max_cache_mb: float | None = None,
        warm_start: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ):
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.sequence_length = sequence_length
        self.n_combinations = n_combinations
        self.learning_rate = learning_rate
        self.decay = decay
        self.averaging = averaging
        self.precision = precision
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.max_cache_mb = max_cache_mb
        self.warm_start = warm_start
        self.checkpoint = checkpoint

    def _check_parameters(self) -> None:
        if not isinstance(self.checkpoint, str | os.PathLike | None):
            raise ValueError(
                f"`checkpoint` must be None or a path, got {self.checkpoint!r}."
            )


@dataclass(frozen=True)
class TrainingValues:
    """Values of the parameters of :class:`Training`, whose meaning they share.

    An estimator has one as its defaults. Those of a parameter that it does not use say
    what it does instead.
    """

    max_iter: int
    batch_size: int
    sequence_length: int
    validation_fraction: float
    n_iter_no_change: int
    n_combinations: int = 1
    learning_rate: float = 1e-3
    decay: float = 0.0
    averaging: float = 0.0
    precision: str = PRECISIONS[0]
    max_cache_mb: float = 256.0
    warm_start: bool = False
    checkpoint: str | os.PathLike[str] | None = None

    def updated(self, training: Training | None) -> TrainingValues:
        """Return these values with those that a `Training` gives instead.

        Parameters
        ----------
        training : Training or None
            Parameters that are not None replace these values.

        Returns
        -------
        TrainingValues

        Examples
        --------
        >>> defaults = TrainingValues(100, 12, 125, 0.1, 20)
        >>> defaults.updated(Training(max_iter=3)).max_iter, defaults.max_iter
        (3, 100)
        """
        names = (field.name for field in fields(self))
        given = {name: getattr(training, name, None) for name in names}
        return replace(self, **{k: v for k, v in given.items() if v is not None})


class LayerSizes:
    """Range of `hidden_layer_sizes`: positive integers, or one for a single layer.

    Examples
    --------
    >>> LayerSizes().check("hidden_layer_sizes", (128, 0))
    Traceback (most recent call last):
        ...
    ValueError: `hidden_layer_sizes` must be an integer in [1, 65536], got 0.
    """

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError unless a value is one or several sizes."""
        sizes = value if isinstance(value, tuple | list) else (value,)
        if not 1 <= len(sizes) <= _MAX_LAYERS:
            raise ValueError(
                f"`{name}` must have 1 to {_MAX_LAYERS} layers, got {len(sizes)}."
            )
        for size in sizes:
            check_real(name, size, low=1, high=MAX_UNITS, integer=True)


def layer_sizes(value: Any) -> tuple[int, ...]:
    """Return `hidden_layer_sizes` as a tuple.

    Parameters
    ----------
    value : int or sequence of int
        Number of units of each layer; an integer is a single layer.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> layer_sizes(128), layer_sizes([160, 160])
    ((128,), (160, 160))
    """
    sizes = value if isinstance(value, tuple | list) else (value,)
    return tuple(int(size) for size in sizes)
