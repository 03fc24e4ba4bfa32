"""Objects that users pass by mistake: every error is a sentence of the package."""

from __future__ import annotations

import datetime
from collections import deque
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skvae import LogMMSE, evaluate

SOUND = np.random.default_rng(0).standard_normal(3000) / 10
MASKED = np.ma.masked_array(SOUND, mask=SOUND > 0)
DATES = np.array(["2020-01-01", "2020-01-02", "2020-01-03"], dtype="datetime64[D]")

# Collections, and what the error says of them.
COLLECTIONS = {
    "text": ("a.wav", "the text 'a.wav': pass a list of skvae.datasets.AudioFile"),
    "path": (Path("a.wav"), "the path .*: pass a list of skvae.datasets.AudioFile"),
    "set": ({1.0, 2.0}, "a set, which has no order: pass a list"),
    "dict": ({"a": SOUND}, r"a dict: pass list\(NAME.values\(\)\)"),
}
ITERATORS = {
    "generator": (lambda: (x for x in [SOUND]), r"a generator: pass list\(NAME\)"),
    "map": (lambda: map(np.array, [SOUND]), r"a map: pass list\(NAME\)"),
    "view": ({"a": SOUND}.values, r"a dict_values: pass list\(NAME\)"),
}

# Utterances, and what the error says of them.
UTTERANCES = {
    "path": (Path("a.wav"), "got the path .*: wrap it in skvae.datasets.AudioFile"),
    "none": (None, "got None"),
    "set": ({1.0}, "got a set"),
    "dict": ({"a": 1.0}, "got a dict"),
    "generator": ((x for x in SOUND), "got a generator"),
    "object": (object(), "got <object object"),
    "masked": (MASKED, r"masked samples: fill them first, x.filled\(0\)"),
    "dates": (DATES, "hold numbers, got dates"),
    "durations": (np.diff(DATES), "hold numbers, got durations"),
    "date": ([datetime.datetime(2020, 1, 1)] * 2, "numbers, got datetime.datetime"),
    "digits": (["1", "2"], "hold numbers, got text"),
    "digit array": (np.array(["1", "2"]), "hold numbers, got text"),
    "missing": (pd.Series([pd.NA, 1]), "hold numbers, got a missing value"),
    "huge": (np.array([10**400, 1]), "that fit into a float, got a larger integer"),
    "ragged": ([[1.0, 2.0], [3.0]], "nested lists of unequal lengths"),
    "stereo": (np.zeros((50, 2)), r"have shape \(n_samples,\), got \(50, 2\)"),
}

# Arrays, and what the error says of them.
ARRAYS = {
    "ragged": ([[0.1, 0.2, 0.3], [0.1, 0.2]], r"\[np.array\(x\) for x in X\]"),
    "deque": (deque([[0.1, 0.2, 0.3], [0.1]]), "nested lists of unequal lengths"),
    "missing": (pd.DataFrame([[pd.NA, 1, 2]]), "hold numbers, got a missing"),
    "huge": ([[10**400, 1, 2]], "that fit into a float, got a larger integer"),
    "dates": (DATES[None], "hold numbers, got dates"),
    "masked": (np.ma.masked_array(np.ones((2, 5)), np.eye(2, 5)), "masked samples"),
}


@pytest.fixture(scope="module")
def enhancer():
    return LogMMSE().fit([SOUND])


@pytest.mark.parametrize("name", [*COLLECTIONS, *ITERATORS])
def test_what_is_no_list_is_told_for_x_and_y(enhancer, name):
    if name in COLLECTIONS:
        value, message = COLLECTIONS[name]
    else:
        make, message = ITERATORS[name]
    for call, variable in (
        (lambda wrong: enhancer.transform(wrong), "X"),
        (lambda wrong: enhancer.separate(wrong), "X"),
        (lambda wrong: LogMMSE().fit(wrong), "X"),
        (lambda wrong: LogMMSE().fit([SOUND], wrong), "y"),
        (lambda wrong: enhancer.score([SOUND], wrong), "y"),
    ):
        wrong = value if name in COLLECTIONS else make()
        wanted = f"{variable} must be a list.*{message.replace('NAME', variable)}"
        with pytest.raises(ValueError, match=wanted):
            call(wrong)


@pytest.mark.parametrize("name", UTTERANCES)
def test_what_is_no_waveform_is_told_for_x_and_y(enhancer, name):
    item, message = UTTERANCES[name]
    with pytest.raises(ValueError, match=f"utterance 1 must.*{message}"):
        enhancer.transform([SOUND, item])
    with pytest.raises(ValueError, match=f"utterance 1 must.*{message}"):
        LogMMSE().fit([SOUND, item])
    with pytest.raises(ValueError, match=f"speech of utterance 1 must.*{message}"):
        enhancer.score([SOUND, SOUND], [SOUND, item])


@pytest.mark.parametrize("name", ARRAYS)
def test_what_is_no_array_is_told(enhancer, name):
    X, message = ARRAYS[name]
    for call in (enhancer.transform, LogMMSE().fit):
        with pytest.raises(ValueError, match=f"X must.*{message}"):
            call(X)


@pytest.mark.parametrize("name", ["path", "set", "masked", "dates", "digits"])
def test_evaluate_reports_the_same_sentence(enhancer, name):
    item, message = UTTERANCES[name]
    with pytest.warns(UserWarning, match=f"1 of 2.*noisy must.*{message}"):
        evaluate(enhancer, [SOUND, item], [SOUND, SOUND], "si_sdr")


@pytest.mark.parametrize("value", [{"a": SOUND}, {1.0, 2.0}])
def test_evaluate_takes_neither_dicts_nor_sets(enhancer, value):
    with pytest.raises(ValueError, match="`clean` must be a list of utterances"):
        evaluate(enhancer, [SOUND] * len(value), value, "si_sdr")


@pytest.mark.parametrize(
    "shape", [(101, 2), (500, 2), (99_000, 2), (200, 1), (4000, 6)]
)
@pytest.mark.parametrize("as_list", [False, True])
def test_a_recording_of_several_channels_is_no_list_of_utterances(
    enhancer, shape, as_list
):
    if as_list and shape[0] > 1000:
        return
    stereo = np.zeros(shape).tolist() if as_list else np.zeros(shape)
    wanted = rf"got shape \({shape[0]}, {shape[1]}\).*one recording of {shape[1]} chan"
    for call in (enhancer.transform, enhancer.separate, LogMMSE().fit):
        with pytest.raises(ValueError, match=f"X must .*{wanted}.*reduce_noise"):
            call(stereo)
    if not as_list:
        with pytest.raises(ValueError, match=f"`noisy` must .*{wanted}"):
            evaluate(enhancer, stereo, stereo, "si_sdr")
    assert len(LogMMSE().fit([SOUND]).transform(list(np.zeros(shape))[:9])) > 0


@pytest.mark.parametrize("shape", [(1, 2), (100, 2), (1, 1), (200, 3), (2, 500)])
def test_short_utterances_in_rows_are_taken(enhancer, shape):
    assert enhancer.transform(np.ones(shape)).shape == shape


@pytest.mark.parametrize(
    "item",
    [SOUND > 0, [Decimal(1), Decimal(2)], range(5), np.ma.masked_array(SOUND)],
    ids=["bool", "decimal", "range", "nothing masked"],
)
def test_other_numbers_are_taken(enhancer, item):
    assert len(enhancer.transform([item])[0]) == len(item)


def test_the_kind_of_a_deque_does_not_depend_on_lengths(enhancer):
    for second in (SOUND, SOUND[:100]):
        assert isinstance(enhancer.transform(deque([SOUND, second])), list)
