"""Enhancers in scikit-learn's pipelines, searches and cross-validation."""

import os
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from helpers.instances import SMALL_STFT
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_html_repr

from skvae import ISTFT, STFT, LogMMSE, SpectralSubtraction, WienerFilter
from skvae.datasets import make_dataset

NOISY, CLEAN = make_dataset(6, (0.2, 0.4), 0.0, random_state=0)


def pipeline(**parameters):
    return Pipeline(
        [
            ("stft", STFT(256)),
            ("enhance", WienerFilter(**parameters)),
            ("istft", ISTFT()),
        ]
    )


def objects(items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


def test_a_pipeline_gives_what_the_enhancer_alone_gives():
    alone = WienerFilter(stft=SMALL_STFT).fit(CLEAN)
    pipe = pipeline().fit(CLEAN)
    for one, other in zip(pipe.transform(NOISY), alone.transform(NOISY), strict=True):
        np.testing.assert_array_equal(one, other)
    assert pipe.score(NOISY, CLEAN) == pytest.approx(
        alone.score(NOISY, CLEAN), abs=1e-4
    )
    pairs = pipeline().fit(NOISY, CLEAN)
    np.testing.assert_array_equal(pairs.transform(NOISY)[0], alone.transform(NOISY)[0])
    [result] = pipe[1].separate(pipe[0].transform(NOISY[:1]))
    assert result.noise.length == len(NOISY[0])


def test_a_pipeline_keeps_arrays_and_lengths():
    rows = np.stack([x[:3000] for x in NOISY])
    assert pipeline().fit(rows).transform(rows).shape == rows.shape
    lengths = [len(x) for x in pipeline().fit(CLEAN).transform(NOISY)]
    assert lengths == [len(x) for x in NOISY]


def test_steps_may_be_left_out_or_be_functions():
    pipe = pipeline().set_params(enhance="passthrough").fit(CLEAN)
    np.testing.assert_allclose(pipe.transform(NOISY)[0], NOISY[0], atol=1e-6)
    louder = FunctionTransformer(lambda X: [2 * x for x in X])
    enhanced = make_pipeline(louder, WienerFilter(stft=SMALL_STFT)).fit_transform(NOISY)
    assert len(enhanced) == 6


@pytest.mark.parametrize("collect", [list, tuple, objects, pd.Series])
def test_cross_validation_takes_lists_object_arrays_and_series(collect):
    result = cross_validate(
        pipeline(), collect(NOISY), collect(CLEAN), cv=3, error_score="raise"
    )
    wanted = cross_val_score(pipeline(), NOISY, CLEAN, cv=KFold(3), error_score="raise")
    np.testing.assert_array_equal(result["test_score"], wanted)
    assert np.isfinite(wanted).all()


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_grid_search_reaches_nested_parameters_and_whole_steps(n_jobs):
    grid = [
        {"stft__n_fft": [128, 256], "enhance__smoothing": [0.5, 0.98]},
        {"enhance": [LogMMSE(), SpectralSubtraction(), "passthrough"]},
    ]
    search = GridSearchCV(
        pipeline(), grid, cv=GroupKFold(2), n_jobs=n_jobs, error_score="raise"
    )
    # Threads start at once; that processes agree is checked for every enhancer.
    with joblib.parallel_config(backend="threading"):
        search.fit(NOISY, CLEAN, groups=[0, 0, 1, 1, 2, 2])
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all() and len(set(scores.round(6))) == 7
    identity = scores[-1]
    assert search.best_score_ > identity + 2
    enhanced = search.transform(NOISY)
    assert [len(x) for x in enhanced] == [len(x) for x in NOISY]
    assert search.score(NOISY, CLEAN) > identity


def test_the_analysis_of_an_enhancer_is_searched_without_a_pipeline():
    search = GridSearchCV(
        WienerFilter(stft=STFT()),
        {"stft__n_fft": [64, 512], "stft__window": ["hann", "sine"]},
        cv=2,
        error_score="raise",
    ).fit(NOISY, CLEAN)
    assert search.best_params_["stft__n_fft"] == 512
    assert search.best_estimator_.stft_.n_fft == 512


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_errors_are_raised_and_not_scored_when_asked_for():
    grid = {"smoothing": [0.9, 3.0]}
    enhancer = WienerFilter(stft=SMALL_STFT)
    with pytest.raises(ValueError, match="`smoothing` must be a number"):
        GridSearchCV(enhancer, grid, cv=2, error_score="raise").fit(NOISY, CLEAN)
    search = GridSearchCV(enhancer, grid, cv=2)
    with pytest.warns(FitFailedWarning):
        search.fit(NOISY, CLEAN)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]


def test_clones_and_pickles_of_pipelines():
    pipe = pipeline(noise_profile=0.01 * NOISY[0], random_state=0).fit(CLEAN)
    wanted = pipe.transform(NOISY)
    for again in (pickle.loads(pickle.dumps(pipe)), clone(pipe).fit(CLEAN)):
        np.testing.assert_array_equal(again.transform(NOISY)[1], wanted[1])


def test_a_pipeline_with_memory_computes_once(tmp_path):
    memory = joblib.Memory(tmp_path, verbose=0)
    wanted = pipeline().fit(CLEAN).transform(NOISY)

    def n_cached():
        return sum("output.pkl" in files for _, _, files in os.walk(tmp_path))

    for _ in range(3):
        pipe = pipeline(random_state=0).set_params(memory=memory).fit(CLEAN)
        np.testing.assert_array_equal(pipe.transform(NOISY)[0], wanted[0])
        # The analysis and the enhancer, each once: hashes do not change with use.
        assert n_cached() == 2
    pipeline(random_state=1).set_params(memory=memory).fit(CLEAN)
    assert n_cached() == 3


def test_html_and_text_show_the_parameters():
    pipe = pipeline(smoothing=0.5)
    assert "smoothing" in estimator_html_repr(pipe.fit(CLEAN))
    assert "smoothing=0.5" in repr(pipe)
    assert repr(WienerFilter(0.5)) == "WienerFilter(smoothing=0.5)"


def test_tables_are_no_output():
    for estimator in (STFT(), ISTFT(), WienerFilter()):
        assert not hasattr(estimator, "get_feature_names_out")
        with pytest.raises(ValueError, match="form no table"):
            estimator.set_output(transform="pandas")


def test_the_global_output_setting_leaves_lists_alone():
    from sklearn import config_context

    with config_context(transform_output="pandas"):
        assert isinstance(pipeline().fit(CLEAN).transform(NOISY), list)
