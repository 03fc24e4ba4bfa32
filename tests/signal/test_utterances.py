import warnings

import numpy as np
import pandas as pd
import pytest

from skvae import STFT, WienerFilter
from skvae.signal.utterances import (
    Kind,
    read_clean,
    read_collection,
    require_clean,
)

X = np.arange(1.0, 6.0)
[SPECTROGRAM] = STFT(8).transform([X])
STACK = STFT(8).transform(np.stack([X, X]))


@pytest.mark.parametrize(
    ("collection", "kind"),
    [
        ([X, X], Kind.WAVEFORMS),
        ((X,), Kind.WAVEFORMS),
        (pd.Series([X, X[:2]]), Kind.WAVEFORMS),
        ([X.tolist(), X], Kind.WAVEFORMS),
        (np.stack([X, X]), Kind.ARRAY),
        ([X.tolist(), X.tolist()], Kind.ARRAY),
        (pd.DataFrame(np.stack([X, X])), Kind.ARRAY),
        (np.stack([X, X]).astype(object), Kind.ARRAY),
        ([SPECTROGRAM], Kind.SPECTROGRAMS),
        (STACK, Kind.SPECTROGRAM_ARRAY),
    ],
)
def test_the_kind_follows_from_the_type(collection, kind):
    items, found = read_collection(WienerFilter(), collection, reset=True)
    assert found is kind
    assert kind.spectral == (found in (Kind.SPECTROGRAMS, Kind.SPECTROGRAM_ARRAY))
    assert len(items) == len(collection)


@pytest.mark.parametrize(
    ("collection", "message"),
    [
        ("a.wav", "list of utterances, got the text"),
        (b"a", "got the text"),
        (SPECTROGRAM, "one spectrogram: pass a list"),
        ([], "at least one utterance"),
        ((), "at least one utterance"),
        (X, r"\[x\]"),
        (X.tolist(), "2D array"),
        ([X, SPECTROGRAM], "1 spectrograms among 2"),
        (np.zeros((2, 3, 4)), "dim 3"),
        (None, "2D array"),
        (7, "2D array"),
    ],
)
def test_what_is_no_collection_is_an_error(collection, message):
    with pytest.raises(ValueError, match=message):
        read_collection(WienerFilter(), collection, reset=True)


def test_a_number_among_waveforms_is_left_to_be_named():
    items, kind = read_collection(WienerFilter(), [X, 3.0])
    assert kind is Kind.WAVEFORMS and len(items) == 2


def test_the_width_of_an_array_is_kept_until_the_next_fit():
    estimator = WienerFilter()
    read_collection(estimator, np.stack([X, X]), reset=True)
    assert estimator.n_features_in_ == 5
    with pytest.raises(ValueError, match="expecting 5 features"):
        read_collection(estimator, np.zeros((2, 4)))
    read_collection(estimator, [X])
    assert estimator.n_features_in_ == 5
    read_collection(estimator, [X], reset=True)
    assert not hasattr(estimator, "n_features_in_")
    read_collection(estimator, np.zeros((2, 4)))


def test_column_names_are_forgotten_too():
    estimator = WienerFilter()
    read_collection(estimator, pd.DataFrame({"a": [1.0], "b": [2.0]}), reset=True)
    assert list(estimator.feature_names_in_) == ["a", "b"]
    read_collection(estimator, [X], reset=True)
    assert not hasattr(estimator, "feature_names_in_")


@pytest.mark.parametrize("y", [None, [0, 1], np.array([0, 1]), pd.Series([1.0, 2.0])])
def test_labels_are_no_clean_speech(y):
    assert read_clean(y, 2) is None


@pytest.mark.parametrize(
    "y", [[X, X], np.stack([X, X]), pd.Series([X, X]), STACK, [X.tolist(), X.tolist()]]
)
def test_clean_speech_is_found_in_any_collection(y):
    items = read_clean(y, 2)
    assert items is not None and len(items) == 2


def test_a_series_is_read_by_position():
    y = pd.Series([X, 2 * X], index=[1, 0])
    np.testing.assert_array_equal(read_clean(y, 2)[0], X)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([X], "the 2 utterances of X, got 1"),
        ([X] * 3, "got 3"),
        ([], "got 0"),
        (X, r"2 waveforms, got 5 numbers: pass one waveform as \[y\]"),
        (X.tolist(), "got 5 numbers"),
    ],
)
def test_another_number_of_clean_utterances_is_an_error(y, message):
    with pytest.raises(ValueError, match=message):
        read_clean(y, 2)


@pytest.mark.parametrize("y", [["a.wav", "b.wav"], np.array(["a.wav", "b.wav"])])
def test_file_names_are_not_taken_for_labels(y):
    with pytest.raises(ValueError, match=r"'a.wav'.*AudioFile"):
        read_clean(y, 2)


@pytest.mark.parametrize("y", [None, [0, 1], np.array([0, 1])])
def test_clean_speech_that_is_needed_and_missing_is_an_error(y):
    with pytest.raises(ValueError, match=f"must be the clean .*{type(y).__name__}"):
        require_clean(y, 2)


def test_clean_speech_that_is_needed_and_there_is_read():
    assert require_clean([X, X], 2) == [X, X]
    with pytest.raises(ValueError, match="the 3 utterances"):
        require_clean([X, X], 3)


def test_opposite_infinities_are_refused_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="infinity"):
            read_collection(STFT(), np.array([[np.inf, -np.inf, 0.0]]))
