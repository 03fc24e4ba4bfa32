from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import soundfile
from sklearn.model_selection import GridSearchCV, GroupKFold

from skvae import SpectralSubtraction, evaluate
from skvae.datasets import AudioFile, Corpus, make_dataset


@pytest.fixture
def corpus():
    clean = [AudioFile(f"clean/{k}.wav") for k in range(4)]
    noisy = [AudioFile(f"noisy/{k}.wav") for k in range(4)]
    speakers = ["ann", "ann", "bob", "bob"]
    return Corpus(
        "ours", clean, noisy, list("abcd"), speakers, list("xxyx"), [0, 5, 5, 10]
    )


def test_labels_are_arrays_and_audio_stays_a_list(corpus):
    assert len(corpus) == 4
    assert corpus.speakers.tolist() == ["ann", "ann", "bob", "bob"]
    assert corpus.snrs.dtype == np.float64
    assert isinstance(corpus.noisy, list)
    assert list(corpus.info) == ["utterance", "speaker", "noise", "snr"]


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (slice(1, 3), "bc"),
        ([3, 0], "da"),
        (np.array([False, True, False, True]), "bd"),
        (np.array([2]), "c"),
        (slice(0, 0), ""),
    ],
)
def test_a_selection_is_a_corpus_of_matching_members(corpus, selection, chosen):
    part = corpus[selection]
    numbers = ["abcd".index(letter) for letter in chosen]
    assert part.utterances.tolist() == list(chosen)
    assert part.clean == [corpus.clean[k] for k in numbers]
    assert part.noisy == [corpus.noisy[k] for k in numbers]
    np.testing.assert_array_equal(part.snrs, corpus.snrs[numbers])
    np.testing.assert_array_equal(part.noises, corpus.noises[numbers])


def test_a_single_number_is_no_corpus(corpus):
    with pytest.raises(TypeError, match=r"corpus\.noisy\[i\]"):
        corpus[0]


def test_what_is_not_known_is_empty_or_nan():
    corpus = Corpus("few", None, [AudioFile("a.wav")], ["a"])
    assert corpus.speakers.tolist() == corpus.noises.tolist() == [""]
    assert np.isnan(corpus.snrs).all()
    assert repr(corpus) == "Corpus('few': 1 utterance)"
    assert corpus[:1].clean is None


def test_the_summary_counts(corpus):
    assert repr(corpus) == "Corpus('ours': 4 pairs, 2 speakers, 2 noises, 0 to 10 dB)"
    assert repr(corpus[1:3]).endswith("2 noises, 5 dB)")


def test_members_that_do_not_match_are_refused():
    files = [AudioFile("a.wav")]
    with pytest.raises(ValueError, match=r"`speakers` .* 1 utterances, got 2"):
        Corpus("bad", files, None, ["a"], ["ann", "bob"])
    with pytest.raises(ValueError, match=r"`noisy` .* got 2"):
        Corpus("bad", files, 2 * files, ["a"])
    with pytest.raises(ValueError, match="got neither"):
        Corpus("bad", None, None, ["a"])


def test_it_cannot_be_changed_and_copies(corpus):
    with pytest.raises(AttributeError):
        corpus.name = "theirs"
    for twin in (copy.deepcopy(corpus), pickle.loads(pickle.dumps(corpus))):
        assert twin.noisy == corpus.noisy
        assert twin.speakers.tolist() == corpus.speakers.tolist()


def test_ratios_are_measured_from_what_was_added(tmp_path):
    rng = np.random.default_rng(0)
    members = {"clean": [], "noisy": []}
    for k, snr in enumerate([-5.0, 0.0, 12.0]):
        speech, noise = 0.1 * rng.standard_normal((2, 4000))
        noise *= np.sqrt(np.sum(speech**2) / np.sum(noise**2)) * 10 ** (-snr / 20)
        for side, waveform in (("clean", speech), ("noisy", speech + noise)):
            path = tmp_path / f"{side}{k}.wav"
            soundfile.write(path, waveform, 16000, subtype="FLOAT")
            members[side].append(AudioFile(path))
    corpus = Corpus("three", **members, utterances=["a", "b", "c"])
    np.testing.assert_allclose(corpus.measure_snrs().snrs, [-5, 0, 12], atol=1e-4)
    assert np.isnan(corpus.snrs).all()


def test_ratios_of_extremes():
    sine, silence = np.sin(np.arange(100.0)), np.zeros(100)
    clean = [sine, silence, silence]
    noisy = [sine, sine, silence]
    snrs = Corpus("odd", clean, noisy, ["a", "b", "c"]).measure_snrs().snrs
    np.testing.assert_array_equal(snrs, [np.inf, -np.inf, np.nan])


def test_ratios_need_pairs_of_equal_lengths():
    sine = np.sin(np.arange(100.0))
    with pytest.raises(ValueError, match="ours must have noisy and clean"):
        Corpus("ours", [sine], None, ["a"]).measure_snrs()
    with pytest.raises(ValueError, match="speech of a must be equally long"):
        Corpus("ours", [sine], [sine[1:]], ["a"]).measure_snrs()


def test_it_serves_a_grouped_search_and_an_evaluation():
    noisy, clean = make_dataset(4, (0.2, 0.3), random_state=0)
    speakers = ["ann", "ann", "bob", "bob"]
    corpus = Corpus("made", clean, noisy, list("abcd"), speakers, snrs=[1, 2, 3, 4])
    search = GridSearchCV(
        SpectralSubtraction(),
        {"attenuation_limit": [6.0, 12.0]},
        cv=GroupKFold(2),
        error_score="raise",
    )
    search.fit(corpus.noisy, corpus.clean, groups=corpus.speakers)
    table = evaluate(
        search, corpus.noisy, corpus.clean, metrics="si_sdr", info=corpus.info
    )
    assert table["snr"].tolist() == [1, 2, 3, 4]
    assert table["speaker"].tolist() == speakers
