from __future__ import annotations

import csv
import pickle
from collections import Counter

import numpy as np
import pytest
import soundfile

from skvae import WienerFilter
from skvae.datasets import (
    AudioFile,
    Corpus,
    Mixture,
    load_folders,
    load_noises,
    load_pairs,
    make_noise,
    make_speech,
    mix_corpus,
    write_corpus,
)
from skvae.signal.spectrogram import reads_itself

RATE = 16000


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for k in range(6):
        path = root / "speech" / f"speaker{k % 2}" / f"{k}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, make_speech(3000 + 100 * k, random_state=k), RATE)
    for kind in ("pink", "wind", "hum"):
        for k in range(2):
            path = root / "noise" / kind / f"{k}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, make_noise(9000, "pink", random_state=k), RATE)
    return load_folders(root / "speech"), load_noises(root / "noise")


def ratio(clean, noisy):
    clean, noisy = (np.asarray(x, dtype=np.float64) for x in (clean, noisy))
    return 10 * np.log10(np.sum(clean**2) / np.sum((noisy - clean) ** 2))


def test_every_mixture_has_its_ratio_and_its_labels(data):
    speech, noises = data
    mixed = mix_corpus(speech, noises, [-5.0, 2.5], random_state=0)
    assert mixed.utterances.tolist() == speech.utterances.tolist()
    assert mixed.speakers.tolist() == speech.speakers.tolist()
    for clean, noisy, noise, snr in zip(
        mixed.clean, mixed.noisy, mixed.noises, mixed.snrs, strict=True
    ):
        assert ratio(clean, noisy) == pytest.approx(snr, abs=1e-3)
        assert f"/{noise}/" in noisy.noise.path
    np.testing.assert_allclose(mixed.measure_snrs().snrs, mixed.snrs, atol=1e-3)


def test_environments_meet_all_ratios_equally_often_and_not_by_rule(data):
    speech, noises = data
    mixed = mix_corpus(speech, noises, [-5, 0, 5], 54, random_state=0)
    met = Counter(zip(mixed.noises, mixed.snrs, strict=True))
    assert set(met.values()) == {6}
    assert len(met) == 9
    assert set(Counter(mixed.utterances).values()) == {9}
    # Without shuffling, each of six utterances would meet one of three environments.
    assert len(set(zip(mixed.utterances, mixed.noises, strict=True))) > 6


def test_as_many_ratios_as_mixtures_are_used_once_each(data):
    speech, noises = data
    snrs = np.random.default_rng(1).normal(7.5, 3, 20)
    mixed = mix_corpus(speech, noises, snrs, 20, random_state=0)
    np.testing.assert_array_equal(np.sort(mixed.snrs), np.sort(snrs))


def test_the_seed_decides_and_reading_order_does_not(data):
    speech, noises = data
    one, again, other = (
        mix_corpus(speech, noises, [0.0, 5.0], 9, random_state=seed)
        for seed in (0, 0, 1)
    )
    backwards = [np.asarray(noisy) for noisy in again.noisy[::-1]][::-1]
    for first, second in zip(one.noisy, backwards, strict=True):
        np.testing.assert_array_equal(np.asarray(first), second)
        np.testing.assert_array_equal(np.asarray(first), np.asarray(first))
    same = [
        np.array_equal(np.asarray(a), np.asarray(b))
        for a, b in zip(one.noisy, other.noisy, strict=True)
    ]
    assert not any(same)


def test_an_utterance_that_comes_twice_meets_other_noise(data):
    speech, noises = data
    mixed = mix_corpus(speech[:1], {"pink": noises["pink"][:1]}, [0.0], 2)
    first, second = (np.asarray(noisy) for noisy in mixed.noisy)
    assert not np.array_equal(first, second)


def test_a_mixture_is_a_waveform(data):
    speech, noises = data
    mixture = mix_corpus(speech, noises, [0.0], random_state=0).noisy[0]
    samples = np.asarray(mixture)
    assert reads_itself(mixture)
    assert samples.dtype == mixture.dtype == np.float32
    assert samples.shape == (len(mixture),)
    assert mixture.sample_rate == RATE
    np.testing.assert_array_equal(mixture[100:200], samples[100:200])
    np.testing.assert_array_equal(
        np.asarray(pickle.loads(pickle.dumps(mixture))), samples
    )
    assert np.asarray(mixture, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="copy=False"):
        np.array(mixture, copy=False)
    [enhanced] = WienerFilter().fit([samples]).transform([mixture])
    assert len(enhanced) == len(mixture)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_its_dtype_is_that_of_its_samples(dtype):
    speech = (1000 * np.sin(np.arange(500))).astype(dtype)
    mixture = Mixture(speech, np.cos(np.arange(900.0)), 0.0, 0)
    assert mixture.dtype == np.asarray(mixture).dtype
    assert not hasattr(mixture, "sample_rate")


def test_nothing_is_read_before_it_is_asked_for():
    speech = Corpus("gone", [AudioFile("gone.wav")], None, ["gone"])
    mixed = mix_corpus(speech, {"gone": [AudioFile("noise.wav")]}, [0.0])
    with pytest.raises(FileNotFoundError):
        np.asarray(mixed.noisy[0])


def test_written_pairs_are_read_back(data, tmp_path):
    speech, noises = data
    mixed = mix_corpus(speech, noises, [-5.0, 5.0], random_state=0)
    write_corpus(mixed, tmp_path / "out")
    read = load_pairs(tmp_path / "out")
    assert read.speakers.tolist() == mixed.speakers.tolist()
    assert read.noises.tolist() == mixed.noises.tolist()
    assert read.snrs.tolist() == mixed.snrs.tolist()
    for clean, noisy, snr in zip(read.clean, read.noisy, read.snrs, strict=True):
        assert ratio(clean, noisy) == pytest.approx(snr, abs=0.05)
    with open(tmp_path / "out" / "pairs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["noise_file"] for row in rows} <= {"0.wav", "1.wav"}
    with pytest.raises(FileExistsError, match="not empty"):
        write_corpus(mixed, tmp_path / "out")


def test_noise_of_ones_own_in_memory(data):
    speech, _ = data
    white = make_noise(20000, "white", random_state=0)
    mixed = mix_corpus(speech, {"white": [white]}, [-10, 10], random_state=0)
    np.testing.assert_allclose(mixed.measure_snrs().snrs, mixed.snrs, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noises": {}}, "no environment"),
        ({"noises": {"rain": []}}, "none for rain"),
        ({"snrs": []}, "`snrs` must be finite"),
        ({"snrs": [np.nan]}, "`snrs` must be finite"),
        ({"n_utterances": 0}, "`n_utterances` must be"),
        ({"random_state": -1}, "`random_state` must be"),
    ],
)
def test_parameters_are_checked(data, change, message):
    speech, noises = data
    parameters = {"speech": speech, "noises": noises, "snrs": [0.0]}
    with pytest.raises(ValueError, match=message):
        mix_corpus(**{**parameters, **change})


def test_speech_is_needed_to_mix_and_pairs_to_write(data, tmp_path):
    speech, noises = data
    noisy = Corpus("noisy", None, speech.clean, speech.utterances)
    with pytest.raises(ValueError, match="noisy must have clean speech"):
        mix_corpus(noisy, noises, [0.0])
    with pytest.raises(ValueError, match="must have noisy and clean"):
        write_corpus(speech, tmp_path / "out")
    sine = [np.sin(np.arange(100.0))]
    with pytest.raises(ValueError, match="a of made must have a sample rate"):
        write_corpus(Corpus("made", sine, sine, ["a"]), tmp_path / "made")
