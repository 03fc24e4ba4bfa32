"""`Training`: its defaults, how it is set and searched, and what is refused."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from helpers.instances import small
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skvae import (
    BiLSTMMask,
    DenoisingVAE,
    DNNMask,
    NoiseAwareVAE,
    SpeechVAE,
    Training,
)
from skvae.datasets import make_speech
from skvae.training.parameters import layer_sizes

TRAINED = [DNNMask, BiLSTMMask, DenoisingVAE, NoiseAwareVAE, SpeechVAE]
EVERY = pytest.mark.parametrize("cls", TRAINED)


def documented():
    """Rows of the table in the docstring: parameter, of SpeechVAE, of the others."""
    text = inspect.getdoc(Training)
    rows = [line.split(None, 1) for line in text.split("=\n")[2].splitlines()]
    return {row[0]: row[1] for row in rows if row and not row[0].startswith("=")}


@EVERY
def test_the_documented_defaults_are_those_of_the_estimators(cls):
    table = documented()
    assert set(table) == set(Training().get_params())
    for name, cells in table.items():
        default = getattr(cls._training_defaults, name)
        unused = name in cls._training_unused
        column = cells.replace("not used", "unused").split()[cls is not SpeechVAE]
        assert (
            column == "unused"
            if unused
            else column.strip('"') == f"{default}" or (float(column) == default)
        )


@EVERY
def test_no_constructor_is_longer_than_a_screen(cls):
    assert len(inspect.signature(cls).parameters) <= 16


@EVERY
def test_parameters_of_training_can_be_set_though_there_is_none(cls):
    estimator = cls()
    assert estimator.training is None
    assert estimator._training == cls._training_defaults
    estimator.set_params(training__max_iter=3, training__warm_start=True)
    assert estimator.training.get_params() == {
        **Training().get_params(),
        **{"max_iter": 3, "warm_start": True},
    }
    assert (estimator._training.max_iter, estimator._training.warm_start) == (3, True)
    other = clone(estimator).set_params(training__max_iter=4)
    assert estimator.training.max_iter == 3
    assert other._training.batch_size == cls._training_defaults.batch_size
    with pytest.raises(ValueError, match="Invalid parameter 'training__epochs'"):
        estimator.set_params(training__epochs=3)


def test_a_search_goes_over_parameters_of_training():
    speech = [make_speech(3000, random_state=k) for k in range(4)]
    model = small(SpeechVAE).set_params(training=None, random_state=0)
    search = GridSearchCV(
        model, {"training__max_iter": [1, 2]}, cv=2, error_score="raise"
    ).fit(speech)
    assert search.best_estimator_.n_iter_ == search.best_params_["training__max_iter"]


@EVERY
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("max_iter", 0),
        ("batch_size", 1.5),
        ("sequence_length", -1),
        ("learning_rate", 0.0),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", True),
        ("max_cache_mb", np.nan),
        ("warm_start", "yes"),
        ("checkpoint", 3),
    ],
)
def test_wrong_values_are_refused_by_name(cls, name, wrong):
    estimator = small(cls).set_params(training=Training(**{name: wrong}))
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        estimator.fit([np.ones(1000)])


@EVERY
def test_values_are_checked_whenever_the_estimator_is_used(cls):
    X = [make_speech(3000, random_state=0)]
    estimator = small(cls).fit(X).set_params(training__learning_rate=-1.0)
    with pytest.raises(ValueError, match="`learning_rate` must be a number"):
        estimator.transform(X)
    # Where training would write to matters only to `fit`.
    estimator.set_params(training=Training(checkpoint="gone/training.npz"))
    estimator.transform(X)
    with pytest.raises(ValueError, match="`checkpoint` must be a file in an existing"):
        estimator.fit(X)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_combinations", 1),
        ("decay", 0.0),
        ("averaging", 0.5),
        ("precision", "float32"),
    ],
)
def test_what_a_speech_vae_does_not_use_is_refused(name, value):
    model = small(SpeechVAE).set_params(training=Training(**{name: value}))
    with pytest.raises(ValueError, match=f"must have {name}=None, since a SpeechVAE"):
        model.fit([np.ones(1000)])


def test_sizes_of_layers_are_one_or_several():
    assert layer_sizes(8) == layer_sizes((8,)) == layer_sizes([np.int64(8)]) == (8,)
    assert layer_sizes((8, 4)) == (8, 4)
