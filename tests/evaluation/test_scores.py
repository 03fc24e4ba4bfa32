from __future__ import annotations

import builtins
import itertools
import pickle
import warnings

import numpy as np
import pandas
import pytest
import soundfile
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline

import skvae.evaluation.scores
import skvae.evaluation.summary
from skvae import ISTFT, STFT, SpectralSubtraction, WienerFilter
from skvae.datasets import AudioFile, make_dataset
from skvae.evaluation.scores import evaluate, make_enhancement_scorer
from skvae.metrics import estoi, pesq, sdr, si_sdr

FAST = ["si_sdr", "sdr"]
ALL = ["si_sdr", "sdr", "pesq", "estoi"]


@pytest.fixture(scope="module")
def pairs():
    return make_dataset(4, (1.0, 1.5), snr=[0, 5], random_state=0)


@pytest.fixture(scope="module")
def wiener(pairs):
    return WienerFilter().fit(pairs[0])


class Identity(TransformerMixin, BaseEstimator):
    """Applies `change` to each utterance."""

    def __init__(self, change=None):
        self.change = change

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return [x if self.change is None else self.change(x) for x in X]


def test_rows_hold_the_scores_of_each_utterance_in_order(pairs, wiener):
    noisy, clean = pairs
    table = evaluate(wiener, noisy, clean)
    assert list(table) == [*ALL, "seconds", "rtf", "error"]
    assert table.index.tolist() == [0, 1, 2, 3]
    for k, enhanced in enumerate(wiener.transform(noisy)):
        row = table.loc[k]
        assert row["si_sdr"] == si_sdr(clean[k], enhanced)
        assert row["sdr"] == sdr(clean[k], enhanced)
        assert row["pesq"] == pesq(clean[k], enhanced)
        assert row["estoi"] == estoi(clean[k], enhanced)
        assert row["seconds"] == len(clean[k]) / 16000
    assert (table["rtf"] > 0).all()
    assert table["error"].tolist() == [None] * 4


def test_none_scores_the_noisy_speech(pairs):
    noisy, clean = pairs
    table = evaluate(None, noisy, clean, "si_sdr")
    expected = [si_sdr(*pair) for pair in zip(clean, noisy, strict=True)]
    assert table["si_sdr"].tolist() == expected
    assert (table["rtf"] == 0).all()


def pipeline(pairs):
    steps = [("stft", STFT()), ("enhance", WienerFilter()), ("istft", ISTFT())]
    return Pipeline(steps).fit(pairs[0])


def test_pipelines_searches_and_frozen_estimators_score_like_the_enhancer(
    pairs, wiener
):
    expected = evaluate(wiener, *pairs, "si_sdr")["si_sdr"]
    search = GridSearchCV(WienerFilter(), {"smoothing": [0.98]}, cv=2).fit(*pairs)
    for estimator in (
        pipeline(pairs),
        pipeline(pairs)[:2],  # ends in spectrograms
        search,
        FrozenEstimator(wiener),
    ):
        scores = evaluate(estimator, *pairs, "si_sdr")["si_sdr"]
        np.testing.assert_allclose(scores, expected, atol=1e-3)


@pytest.mark.parametrize("n_jobs", [2, None])
def test_jobs_and_progress_change_nothing(pairs, wiener, n_jobs, capsys):
    expected = evaluate(wiener, *pairs, FAST)
    table = evaluate(wiener, *pairs, FAST, n_jobs=n_jobs, verbose=1)
    pandas.testing.assert_frame_equal(table[FAST], expected[FAST])
    assert "evaluating: 4/4" in capsys.readouterr().err


def test_2d_arrays_series_and_spectrograms_are_collections_too(pairs):
    noisy, clean = ([x[:9000] for x in side] for side in pairs)
    expected = evaluate(None, noisy, clean, "si_sdr")["si_sdr"].tolist()
    series = [pandas.Series(side, dtype=object) for side in (noisy, clean)]
    spectrograms = STFT().fit_transform(noisy)
    for pair in [(np.stack(noisy), np.stack(clean)), series, (spectrograms, clean)]:
        assert evaluate(None, *pair, "si_sdr")["si_sdr"].tolist() == expected
    enhancer = WienerFilter().fit(noisy)
    expected = evaluate(enhancer, noisy, clean, "si_sdr")["si_sdr"]
    scores = evaluate(enhancer, spectrograms, clean, "si_sdr")["si_sdr"]
    np.testing.assert_allclose(scores, expected, atol=1e-3)


def test_16_bit_noisy_speech_reaches_the_estimator_as_it_is(pairs):
    noisy, clean = pairs
    seen = []
    as_integers = [(x * 32767).astype(np.int16) for x in noisy]
    evaluate(Identity(lambda x: seen.append(x.dtype) or x), as_integers, clean, "sdr")
    assert seen == [np.dtype(np.int16)] * 4


def test_failing_utterances_tell_why_and_stop_nothing(pairs, tmp_path):
    noisy, clean = pairs
    (tmp_path / "broken.wav").write_text("no audio")
    bad_noisy = [
        noisy[0],
        AudioFile(tmp_path / "missing.wav"),
        AudioFile(tmp_path / "broken.wav"),
        noisy[1][:-1],
        np.where(np.arange(len(noisy[2])) == 7, np.nan, noisy[2]),
        np.ones((3, 2)),
        noisy[3],
    ]
    bad_clean = [clean[0], clean[1], clean[1], clean[1], clean[2], clean[2], clean[3]]
    with pytest.warns(UserWarning, match="5 of 7 utterances failed.*Utterance 1: File"):
        table = evaluate(WienerFilter().fit(noisy), bad_noisy, bad_clean, FAST)
    expected = evaluate(WienerFilter().fit(noisy), noisy, clean, FAST)
    assert table.loc[[0, 6], FAST].to_numpy().tolist() == (
        expected.loc[[0, 3], FAST].to_numpy().tolist()
    )
    assert table.loc[1:5, FAST].isna().all(axis=None)
    assert table["error"].notna().tolist() == [False] + [True] * 5 + [False]
    for k, words in [
        (1, "FileNotFoundError"),
        (2, "cannot be read as audio"),
        (3, "pairs must have equal lengths"),
        (4, "noisy must be finite"),
        (5, "noisy must have shape"),
    ]:
        assert words in table.loc[k, "error"]


def test_a_metric_that_raises_costs_only_its_own_score(pairs):
    def picky(clean, enhanced):
        if len(clean) == len(pairs[1][1]):
            raise RuntimeError("not this one")
        return 1.0

    with pytest.warns(UserWarning, match="1 of 4"):
        table = evaluate(None, *pairs, ["si_sdr", picky])
    assert table["picky"].isna().tolist() == [False, True, False, False]
    assert table["si_sdr"].notna().all()
    assert table.loc[1, "error"] == "picky: RuntimeError: not this one"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[1:], "must keep the lengths"),
        (lambda x: x * np.nan, "enhanced must be finite"),
        (lambda x: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_an_estimator_that_breaks_its_promises_is_told_on(pairs, change, words):
    with pytest.warns(UserWarning, match="4 of 4"):
        table = evaluate(Identity(change), *pairs, "si_sdr")
    assert table["error"].str.contains(words).all()


def test_undefined_scores_are_counted_in_one_warning_and_are_no_errors(pairs):
    noisy, clean = pairs
    silent = [np.zeros_like(clean[0]), clean[1], np.zeros_like(clean[2]), clean[3]]
    for n_jobs in (None, 2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            table = evaluate(None, noisy, silent, ["si_sdr", "stoi"], n_jobs=n_jobs)
        ours = [str(w.message) for w in caught if w.category is UndefinedMetricWarning]
        assert ours == [
            "si_sdr is undefined and set to NaN for 2 of 4 utterances.",
            "stoi is undefined and set to NaN for 2 of 4 utterances.",
        ]
        assert table["error"].isna().all()
        assert table["si_sdr"].isna().tolist() == [True, False, True, False]


def test_files_are_named_and_read_one_at_a_time(pairs, tmp_path, monkeypatch):
    files = []
    for side, folder in zip(pairs, ("noisy", "clean"), strict=True):
        (tmp_path / folder).mkdir()
        for k, waveform in enumerate(side):
            path = tmp_path / folder / f"{k}.wav"
            soundfile.write(path, waveform, 16000, subtype="FLOAT")
            files.append(AudioFile(path))
    reads = []
    read = AudioFile._read
    monkeypatch.setattr(
        AudioFile, "_read", lambda file: reads.append(file.path) or read(file)
    )
    table = evaluate(WienerFilter().fit(pairs[0]), files[:4], files[4:], "si_sdr")
    assert table["file"].tolist() == ["0.wav", "1.wav", "2.wav", "3.wav"]
    assert reads == [
        file.path for pair in zip(files[:4], files[4:], strict=True) for file in pair
    ]
    expected = evaluate(WienerFilter().fit(pairs[0]), *pairs, "si_sdr")
    assert table["si_sdr"].tolist() == expected["si_sdr"].tolist()
    # Names that are not unique are given in full.
    table = evaluate(None, [files[0], files[4]], [files[4], files[4]], "si_sdr")
    assert table["file"].tolist() == [files[0].path, files[4].path]


def test_sample_rate_comes_from_estimator_or_file_and_must_agree(pairs, tmp_path):
    noisy, clean = pairs
    seen = []

    class Rate(skvae.evaluation.scores.Metric):
        def __call__(self, clean, enhanced, sample_rate):
            seen.append(sample_rate)
            return 0.0

    def rates(estimator, noisy, clean, **kwargs):
        seen.clear()
        evaluate(estimator, noisy, clean, [Rate("rate", len)], **kwargs)
        return set(seen)

    stft = STFT(sample_rate=8000)
    slow = WienerFilter(stft=stft).fit(noisy)
    assert rates(None, noisy, clean) == {16000}
    assert rates(None, noisy, clean, sample_rate=48000) == {48000}
    assert rates(slow, noisy, clean) == {8000}
    steps = [("scale", "passthrough"), ("stft", stft), ("istft", ISTFT())]
    assert rates(Pipeline(steps).fit(noisy), noisy, clean) == {8000}
    search = GridSearchCV(slow, {"smoothing": [0.9]}, cv=2).fit(noisy, clean)
    assert rates(search, noisy, clean) == {8000}
    soundfile.write(tmp_path / "x.wav", clean[0], 22050)
    file = AudioFile(tmp_path / "x.wav")
    assert rates(None, [file], [clean[0]]) == {22050}
    assert rates(None, [noisy[0]], [file]) == {22050}

    with pytest.raises(ValueError, match="`sample_rate` must be that of the estimator"):
        evaluate(slow, noisy, clean, sample_rate=16000)
    with pytest.warns(UserWarning, match="noisy has a sample rate of 22050 Hz"):
        evaluate(slow, [file], [clean[0]], "si_sdr")
    with pytest.warns(UserWarning, match="clean has a sample rate of 22050 Hz"):
        evaluate(slow, [noisy[0]], [file], "si_sdr")
    # A rate that one metric refuses only affects the scores of that metric.
    with pytest.warns(UserWarning, match="must be 16000 for PESQ"):
        table = evaluate(slow, noisy, clean, ["si_sdr", "pesq"])
    assert table["si_sdr"].notna().all()
    assert table["pesq"].isna().all()


def test_info_is_joined_by_position(pairs):
    expected = [5, 0, 5, 0]
    for info in (
        {"snr": expected},
        pandas.DataFrame({"snr": expected}, index=[9, 3, 1, 0]),
    ):
        table = evaluate(None, *pairs, "si_sdr", info=info)
        assert table["snr"].tolist() == expected
        assert next(iter(table)) == "snr"
    with pytest.raises(ValueError, match="`info` must have a row for each of the 4"):
        evaluate(None, *pairs, "si_sdr", info={"snr": [1, 2]})
    with pytest.raises(ValueError, match=r"must not have the columns \['seconds'\]"):
        evaluate(None, *pairs, "si_sdr", info={"seconds": [1, 2, 3, 4]})


@pytest.mark.parametrize("make", ["evaluate", "scorer"])
def test_a_missing_package_is_an_error_before_any_work(pairs, monkeypatch, make):
    import_module = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "pesq":
            raise ImportError(name)
        return import_module(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    calls = []
    with pytest.raises(ImportError, match=r'pip install "skvae\[pesq\]"'):
        if make == "evaluate":
            evaluate(Identity(calls.append), *pairs)
        else:
            make_enhancement_scorer("pesq", mode="nb")
    assert calls == []


def test_an_unfitted_estimator_is_an_error_not_a_row(pairs):
    for n_jobs in (None, 2):
        with pytest.raises(NotFittedError):
            evaluate(WienerFilter(), *pairs, "si_sdr", n_jobs=n_jobs)


@pytest.mark.parametrize(
    ("noisy", "clean", "words"),
    [
        ([], [], "at least one utterance, got none"),
        (np.ones(9), [np.ones(9)], "`noisy` must be a list of waveforms"),
        ([0.0, 1.0], [np.ones(9)], "got numbers"),
        ([np.ones(9)], "clean.wav", "`clean` must be a list of waveforms"),
        ([np.ones(9)], AudioFile("a.wav"), "got AudioFile"),
        ([np.ones(9)], None, "got NoneType"),
        ([np.ones(9)], [np.ones(9)] * 2, "same number of utterances, got 1 and 2"),
    ],
)
def test_wrong_collections_are_errors(noisy, clean, words):
    with pytest.raises(ValueError, match=words):
        evaluate(None, noisy, clean, "si_sdr")


def test_wrong_arguments_are_errors(pairs):
    with pytest.raises(ValueError, match="`metric` must be one of"):
        evaluate(None, *pairs, ["snr"])
    with pytest.raises(ValueError, match="each once"):
        evaluate(None, *pairs, ["sdr", "sdr"])
    with pytest.raises(ValueError, match="at least one"):
        evaluate(None, *pairs, [])
    with pytest.raises(ValueError, match="`estimator` must have a `transform`"):
        evaluate("wiener", *pairs, "si_sdr")


# Scorers


def test_scorer_is_the_mean_of_the_table_without_undefined_scores(pairs, wiener):
    noisy, clean = pairs
    silent = [np.zeros_like(clean[0]), *clean[1:]]
    with pytest.warns(UndefinedMetricWarning):
        table = evaluate(wiener, noisy, silent, ["si_sdr", "stoi"])
        score = make_enhancement_scorer("si_sdr")(wiener, noisy, silent)
        scores = make_enhancement_scorer(["si_sdr", "stoi"])(wiener, noisy, silent)
    assert score == pytest.approx(table["si_sdr"].mean())
    assert scores["stoi"] == pytest.approx(table["stoi"].mean())
    assert score == scores["si_sdr"]


def test_default_score_of_an_enhancer_is_the_si_sdr_scorer(pairs, wiener):
    score = make_enhancement_scorer("si_sdr")(wiener, *pairs)
    assert score == pytest.approx(wiener.score(*pairs), abs=1e-4)


def test_scorer_passes_options_and_sample_rate_on(pairs):
    noisy, clean = pairs
    scorer = make_enhancement_scorer("pesq", sample_rate=8000, mode="nb")
    assert (
        repr(scorer) == "make_enhancement_scorer('pesq', sample_rate=8000, mode='nb')"
    )
    expected = np.mean(
        [pesq(s, x, 8000, "nb") for x, s in zip(noisy, clean, strict=True)]
    )
    assert scorer(Identity(), noisy, clean) == pytest.approx(expected)
    with pytest.raises(ValueError, match="must be that of the estimator's STFT, 16000"):
        scorer(WienerFilter().fit(noisy), noisy, clean)
    with pytest.raises(TypeError, match="si_sdr cannot take"):
        make_enhancement_scorer("si_sdr", mode="nb")
    with pytest.raises(ValueError, match="belong to one metric"):
        make_enhancement_scorer(["sdr", "pesq"], mode="nb")
    with pytest.raises(ValueError, match="`mode` must be one of"):
        make_enhancement_scorer("pesq", mode="hd")


def test_scorer_survives_pickling(pairs, wiener):
    for scorer in (
        make_enhancement_scorer("sdr", filter_length=8),
        make_enhancement_scorer(["sdr", si_sdr]),
    ):
        again = pickle.loads(pickle.dumps(scorer))
        assert repr(again) == repr(scorer)
        assert again(wiener, *pairs) == scorer(wiener, *pairs)


def test_scorer_names_the_utterance_that_fails(pairs, wiener):
    noisy, clean = pairs
    with pytest.raises(ValueError, match="equal lengths") as caught:
        make_enhancement_scorer("sdr")(wiener, noisy, [*clean[:3], clean[3][1:]])
    assert caught.value.__notes__ == ["This happened while scoring utterance 3."]
    with pytest.raises(ValueError, match="`y` must be a list of waveforms"):
        make_enhancement_scorer("sdr")(wiener, noisy, None)


@pytest.mark.parametrize("several", [False, True])
def test_grid_search_uses_the_scorer_in_other_processes(pairs, several):
    scoring = make_enhancement_scorer(FAST if several else "sdr")
    steps = [("stft", STFT()), ("enhance", SpectralSubtraction()), ("istft", ISTFT())]
    for estimator, name in [
        (SpectralSubtraction(), "over_subtraction"),
        (Pipeline(steps), "enhance__over_subtraction"),
    ]:
        search = GridSearchCV(
            estimator,
            {name: [0.0, 2.0]},
            scoring=scoring,
            refit="sdr" if several else True,
            cv=2,
            n_jobs=2,
            error_score="raise",
        ).fit(*pairs)
        assert search.best_params_ == {name: 2.0}
        key = "mean_test_sdr" if several else "mean_test_score"
        plain = evaluate(None, *pairs, "sdr")["sdr"].mean()
        # Subtracting nothing leaves the noisy speech.
        assert search.cv_results_[key][0] == pytest.approx(plain, abs=1e-3)


def test_cross_validation_averages_over_the_test_fold(pairs):
    result = cross_validate(
        WienerFilter(), *pairs, scoring=make_enhancement_scorer(FAST), cv=2
    )
    rows = evaluate(WienerFilter().fit(pairs[0]), *pairs, FAST)
    for name, (fold, part) in itertools.product(
        FAST, enumerate([slice(2), slice(2, 4)])
    ):
        expected = rows[name].iloc[part].mean()
        assert result[f"test_{name}"][fold] == pytest.approx(expected)
