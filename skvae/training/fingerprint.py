"""Fingerprint of a training run: a hash of all that its result depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from skvae.signal.spectrogram import Spectrogram, reads_itself
from skvae.training.estimator import TrainedEstimator

#: Parameters that do not change the result of training, or only through `seed_` and
#: the weights that training starts from.
_WITHOUT_EFFECT = frozenset(
    (
        "attenuation_limit",
        "block_seconds",
        "checkpoint",
        "max_cache_mb",
        "n_jobs",
        "random_state",
        "verbose",
        "warm_start",
    )
)


def fingerprint(
    estimator: TrainedEstimator,
    recordings: Sequence[Spectrogram],
    continues: bool,
) -> str:
    """Return a hash of all that the result of training depends on.

    Parameters
    ----------
    estimator : TrainedEstimator
        The estimator, which has `stft_` and `seed_`.
    recordings : list of Spectrogram
        All recordings for training and validation, in order.
    continues : bool
        Whether training continues from the weights of the estimator.

    Returns
    -------
    str
    """
    analysis = estimator.stft_.framing(), estimator.stft_.sample_rate
    first_weights = estimator.state_ if continues else None
    parts = facts(estimator), estimator.seed_, first_weights, analysis
    return str(joblib.hash([*parts, facts(recordings)]))


def facts(value: Any) -> Any:
    """Return what distinguishes a parameter or a recording, in any process.

    Parameters
    ----------
    value : object
        Parameter of an estimator, recording, or list of these.

    Returns
    -------
    object
        Something that :func:`joblib.hash` hashes to the same value in every process.

    Examples
    --------
    >>> from skvae import SpeechVAE, Training
    >>> name, parameters = facts(SpeechVAE(training=Training(max_iter=3)))
    >>> dict(parameters)["max_iter"], "checkpoint" in dict(parameters)
    (3, False)
    """
    if isinstance(value, list | tuple):
        return type(value).__name__, [facts(item) for item in value]
    if isinstance(value, Spectrogram):
        return facts(value.frames() if value.source is None else value.source)
    if isinstance(value, BaseEstimator) and not isinstance(value, FrozenEstimator):
        parameters = value.get_params(deep=False)
        if isinstance(value, TrainedEstimator):
            del parameters["training"]
            parameters |= asdict(value._training)
        names = sorted(parameters.keys() - _WITHOUT_EFFECT)
        return type(value).__name__, [(name, facts(parameters[name])) for name in names]
    if hasattr(value, "rvs") and hasattr(value, "dist"):
        # A frozen distribution of scipy.stats also has a generator.
        return value.dist.name, facts(value.args), facts(sorted(value.kwds.items()))
    if reads_itself(value):
        # An AudioFile shows its path and position, which is faster than reading it.
        text = repr(value)
        return np.asarray(value) if text == object.__repr__(value) else text
    return value
