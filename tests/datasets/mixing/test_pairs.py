from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest
import soundfile

from skvae.datasets import AudioFile, find_audio, make_noise, make_speech
from skvae.datasets.mixing.pairs import (
    COLUMNS,
    PEAK,
    mix_pairs,
    take_turns,
    write_pairs,
)

RATE = 16000


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    for k in range(4):
        path = folder / f"speaker{k % 2}" / f"{k}.wav"
        path.parent.mkdir(exist_ok=True)
        waveform = make_speech(4000 + 100 * k, random_state=k)
        soundfile.write(path, waveform, RATE)
    return find_audio(folder)


@pytest.fixture(scope="module")
def noises(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise")
    groups = {}
    for k, kind in enumerate(["pink", "wind"]):
        path = folder / f"{kind}.wav"
        # The sample rate differs from that of the speech.
        soundfile.write(path, make_noise(9000, kind, 8000, random_state=k), 8000)
        groups[kind] = [AudioFile(path)]
    return groups


def mixed(speech, noises, snrs, seed=0, **parameters):
    return list(
        mix_pairs(speech, noises, snrs, np.random.default_rng(seed), **parameters)
    )


def test_every_environment_meets_every_ratio_equally_often(speech, noises):
    for snrs in ([0.0, 5.0], [-5.0, 0.0, 5.0]):
        n_pairs = 2 * len(snrs) * 2
        pairs = mixed((n_pairs * speech)[:n_pairs], noises, snrs)
        met = Counter((pair.environment, pair.snr) for pair in pairs)
        assert set(met.values()) == {2}
        assert len(met) == 2 * len(snrs)


@pytest.mark.parametrize("synthetic", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("augment", [False, True])
def test_mixtures_have_their_ratio_and_their_share_is_made(
    speech, noises, synthetic, augment
):
    snrs = [-5.0, 3.0]
    order = 2 * speech
    pairs = mixed(order, noises, snrs, synthetic=synthetic, augment=augment)
    made = [pair for pair in pairs if pair.environment == "synthetic"]
    assert len(made) == synthetic * len(order)
    for pair, audio in zip(pairs, order, strict=True):
        assert pair.clean.shape == pair.noisy.shape == (len(audio),)
        ratio = np.sum(pair.clean**2) / np.sum((pair.noisy - pair.clean) ** 2)
        assert 10 * np.log10(ratio) == pytest.approx(pair.snr, abs=1e-6)
        if not augment:
            np.testing.assert_array_equal(pair.clean, np.asarray(audio))
    if synthetic == 1:
        assert Counter(pair.snr for pair in made) == {-5.0: 4, 3.0: 4}


def test_noise_is_resampled_to_the_rate_of_the_speech(speech, tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.1 * np.sin(2 * np.pi * 1000 / 8000 * np.arange(9000)), 8000)
    [pair] = mixed(speech[:1], {"hum": [AudioFile(path)]}, [0.0])
    spectrum = np.abs(np.fft.rfft(pair.noisy - pair.clean))
    frequency = np.argmax(spectrum) * RATE / len(pair.clean)
    assert pair.sample_rate == RATE
    assert frequency == pytest.approx(1000, abs=RATE / len(pair.clean))


def test_the_seed_decides(speech, noises):
    one, again, other = (
        mixed(speech, noises, [0.0], seed, synthetic=0.5, augment=True)
        for seed in (0, 0, 1)
    )
    for first, second in zip(one, again, strict=True):
        np.testing.assert_array_equal(first.noisy, second.noisy)
    assert not np.array_equal(one[0].noisy, other[0].noisy)


def test_what_cannot_be_mixed_is_named(speech, noises, tmp_path):
    soundfile.write(tmp_path / "empty.wav", [], RATE)
    with pytest.raises(ValueError, match=r"empty\.wav and the noise pink\.wav"):
        mixed([AudioFile(tmp_path / "empty.wav")], noises, [0.0])
    with pytest.raises(ValueError, match="`noises` must not be empty"):
        mixed(speech, {}, [0.0], synthetic=0.5)


def test_one_gain_keeps_both_files_from_clipping(speech, noises, tmp_path):
    # At -40 dB, the noise is far above full scale.
    [pair] = mixed(speech[:1], noises, [-40.0])
    loud = pair._replace(clean=0.9 * pair.clean, noisy=pair.noisy + 0.0)
    quiet = pair._replace(clean=1e-3 * pair.clean, noisy=1e-5 * pair.noisy)
    silent = pair._replace(clean=0 * pair.clean, noisy=0 * pair.noisy)
    rows = list(write_pairs([loud, quiet, silent], tmp_path, 3))
    with open(tmp_path / "pairs.csv", newline="") as file:
        header, *written = csv.reader(file)
    assert tuple(header) == COLUMNS
    assert [tuple(row) for row in written] == rows
    for row, expected in zip(rows, (loud, quiet, silent), strict=True):
        clean, noisy = (
            soundfile.read(tmp_path / side / f"{row[0]}.wav")[0]
            for side in ("clean", "noisy")
        )
        peak = np.abs(expected.noisy).max()
        gain = min(1.0, PEAK / peak) if peak else 1.0
        np.testing.assert_allclose(clean, gain * expected.clean, atol=1 / 2**15)
        np.testing.assert_allclose(noisy, gain * expected.noisy, atol=1 / 2**15)


def test_speakers_take_turns(speech):
    order = take_turns(speech, np.random.default_rng(3))
    assert sorted(a.path for a in order) == sorted(a.path for a in speech)
    for first in (0, 2):
        assert len({a.path.split("/")[-2] for a in order[first : first + 2]}) == 2
