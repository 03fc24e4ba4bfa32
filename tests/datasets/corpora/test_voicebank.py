from __future__ import annotations

import builtins
import os
import re

import numpy as np
import pytest
import soundfile

from skvae.datasets import load_voicebank_demand

TEST = {
    "p232_001": ("bus", 17.5),
    "p232_002": ("living", 2.5),
    "p257_001": ("bus", 7.5),
}


def make(root, lines, part="testset", suffix="", stem_suffix="", log="", write=None):
    """Create the layout of the archives: two folders and a log."""
    for side in ("clean", "noisy"):
        folder = root / f"{side}_{part}_wav{suffix}"
        folder.mkdir(parents=True)
        for stem in lines:
            path = folder / f"{stem}{stem_suffix}.wav"
            path.touch() if write is None else write(path, side, stem)
    text = "".join(f"{stem} {noise} {snr:g}\n" for stem, (noise, snr) in lines.items())
    place = root / log
    place.mkdir(parents=True, exist_ok=True)
    (place / f"log_{'trainset_28spk' if part == 'trainset' else part}.txt").write_text(
        text
    )
    return root


def test_pairs_come_with_speaker_noise_and_ratio(tmp_path):
    corpus = load_voicebank_demand(make(tmp_path, TEST))
    assert corpus.utterances.tolist() == list(TEST)
    assert corpus.speakers.tolist() == ["p232", "p232", "p257"]
    assert corpus.noises.tolist() == ["bus", "living", "bus"]
    assert corpus.snrs.tolist() == [17.5, 2.5, 7.5]
    for side in ("clean", "noisy"):
        for stem, audio in zip(TEST, getattr(corpus, side), strict=True):
            assert audio.path == str(tmp_path / f"{side}_testset_wav" / f"{stem}.wav")


@pytest.mark.parametrize(
    ("subset", "part"),
    [
        ("test", "testset"),
        ("train", "trainset_28spk"),
        ("train", "trainset"),
        ("train_56spk", "trainset_56spk"),
    ],
)
@pytest.mark.parametrize("suffix", ["", "_16k"])
@pytest.mark.parametrize("stem_suffix", ["", "_16k"])
def test_every_subset_is_found_under_the_names_people_give_it(
    tmp_path, subset, part, suffix, stem_suffix
):
    root = make(tmp_path, TEST, part, suffix, stem_suffix)
    corpus = load_voicebank_demand(root, subset)
    assert corpus.utterances.tolist() == list(TEST)
    assert corpus.noisy[0].path.endswith(f"p232_001{stem_suffix}.wav")
    assert repr(corpus).startswith(f"Corpus('VoiceBank-DEMAND {subset}': 3 pairs")


@pytest.mark.parametrize("log", ["", "logfiles"])
def test_the_log_is_found_beside_and_above(tmp_path, log):
    make(tmp_path / "16k", TEST, log=f"../{log}")
    assert len(load_voicebank_demand(tmp_path / "16k")) == 3
    assert len(load_voicebank_demand(tmp_path)) == 3


@pytest.mark.parametrize("log", ["", "logfiles", "..", "../logfiles"])
def test_the_log_is_found_beside_the_folders_wherever_these_lie(tmp_path, log):
    make(tmp_path / "data/a/DS_10283_2791", TEST, log=log)
    assert len(load_voicebank_demand(tmp_path / "data")) == 3


def test_both_sides_come_from_one_folder(tmp_path):
    for rate in ("16k", "48k"):
        make(tmp_path / rate, TEST, log="../logfiles")
    (tmp_path / "16k/noisy_testset_wav").rename(tmp_path / "moved")
    corpus = load_voicebank_demand(tmp_path)
    for audio in (corpus.clean[0], corpus.noisy[0]):
        assert audio.path.startswith(str(tmp_path / "48k"))
    (tmp_path / "48k/clean_testset_wav").rename(tmp_path / "other")
    with pytest.raises(
        FileNotFoundError,
        match=r"1 missing: noisy_testset_wav beside '.*16k.clean_testset_wav'\. Both",
    ):
        load_voicebank_demand(tmp_path)


def test_both_sides_have_been_resampled_or_none(tmp_path):
    make(tmp_path, TEST)
    make(tmp_path, TEST, suffix="_16k")
    (tmp_path / "noisy_testset_wav").rename(tmp_path / "moved")
    corpus = load_voicebank_demand(tmp_path)
    for audio in (corpus.clean[0], corpus.noisy[0]):
        assert "_testset_wav_16k" in audio.path


def test_other_layouts_are_pointed_to_load_folders(tmp_path):
    (tmp_path / "test/clean").mkdir(parents=True)
    (tmp_path / "test/noisy").mkdir()
    with pytest.raises(FileNotFoundError, match=r"3 missing: clean_.*load_folders"):
        load_voicebank_demand(tmp_path)


def test_archives_that_unpack_into_a_folder_of_their_own_name(tmp_path):
    make(tmp_path, TEST)
    for side in ("clean", "noisy"):
        folder = tmp_path / f"{side}_testset_wav"
        folder.rename(tmp_path / "moved")
        folder.mkdir()
        (tmp_path / "moved").rename(folder / folder.name)
    assert len(load_voicebank_demand(tmp_path)) == 3


def test_48_kHz_is_resampled_to_16_when_it_is_read(tmp_path):
    def write(path, side, stem):
        soundfile.write(path, np.zeros(4800), 48000)

    make(tmp_path, TEST, write=write)
    assert len(np.asarray(load_voicebank_demand(tmp_path).noisy[0])) == 1600
    corpus = load_voicebank_demand(tmp_path, sample_rate=None)
    assert corpus.noisy[0].sample_rate == 48000


@pytest.mark.parametrize("n_missing", [1, 7])
def test_missing_recordings_are_listed_and_counted(tmp_path, n_missing):
    lines = {f"p232_{k:03d}": ("bus", 2.5) for k in range(10)}
    make(tmp_path, lines)
    for k in range(n_missing):
        (tmp_path / "noisy_testset_wav" / f"p232_{k:03d}.wav").unlink()
    with pytest.raises(FileNotFoundError) as error:
        load_voicebank_demand(tmp_path)
    message = str(error.value)
    assert f"{n_missing} missing: noisy_testset_wav/p232_000.wav" in message
    assert message.count(".wav") == min(n_missing, 5)
    assert ("and 2 more" in message) == (n_missing == 7)


def test_both_sides_missing_are_known_from_the_log(tmp_path):
    make(tmp_path, TEST)
    for side in ("clean", "noisy"):
        (tmp_path / f"{side}_testset_wav" / "p257_001.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"2 missing: clean_.*, noisy_"):
        load_voicebank_demand(tmp_path)
    assert len(load_voicebank_demand(tmp_path, log=False)) == 2


def test_a_recording_that_the_log_does_not_know_is_refused(tmp_path):
    make(tmp_path, TEST)
    for side in ("clean", "noisy"):
        (tmp_path / f"{side}_testset_wav" / "p999_001.wav").touch()
    with pytest.raises(FileNotFoundError, match=r"p999_001 in log_testset\.txt"):
        load_voicebank_demand(tmp_path)


def test_a_missing_log_can_be_done_without_on_purpose(tmp_path):
    make(tmp_path, TEST)
    (tmp_path / "log_testset.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"log_testset\.txt\. .*log=False"):
        load_voicebank_demand(tmp_path)
    corpus = load_voicebank_demand(tmp_path, log=False)
    assert corpus.speakers.tolist() == ["p232", "p232", "p257"]
    assert set(corpus.noises) == {""}
    assert np.isnan(corpus.snrs).all()


def test_missing_folders_are_named(tmp_path):
    make(tmp_path, TEST)
    with pytest.raises(
        FileNotFoundError,
        match="3 missing: clean_trainset_28spk_wav, noisy_trainset_28spk_wav, log_",
    ):
        load_voicebank_demand(tmp_path, "train")
    with pytest.raises(ValueError, match="`subset` must be"):
        load_voicebank_demand(tmp_path, "valid")


def test_empty_folders_are_incomplete(tmp_path):
    with pytest.raises(FileNotFoundError, match="all recordings"):
        load_voicebank_demand(make(tmp_path, {}))


@pytest.mark.parametrize(
    "line", ["p232_001", "p232_001 bus", "p232_001 bus loud", "p232_001 bus nan"]
)
def test_a_broken_log_names_its_line(tmp_path, line):
    make(tmp_path, TEST)
    log = tmp_path / "log_testset.txt"
    log.write_text(log.read_text() + f"\n{line}\n")
    with pytest.raises(
        ValueError, match=rf"line 5 must be .*got {re.escape(repr(line))}"
    ):
        load_voicebank_demand(tmp_path)


def test_no_recording_is_opened_or_looked_at(tmp_path, monkeypatch):
    """The number of opened or queried files does not grow with the corpus."""
    touched = {}
    for n_utterances in (10, 200):
        lines = {f"p232_{k:03d}": ("bus", 2.5) for k in range(n_utterances)}
        root = make(tmp_path / str(n_utterances), lines)
        calls = touched.setdefault(n_utterances, [])
        with monkeypatch.context() as patch:
            for module, name in ((os, "stat"), (os, "lstat"), (builtins, "open")):
                real = getattr(module, name)

                def spy(path, *rest, real=real, calls=calls, **named):
                    calls.append(path)
                    return real(path, *rest, **named)

                patch.setattr(module, name, spy)
            load_voicebank_demand(root)
    assert len(touched[10]) == len(touched[200])
    assert not any(str(path).endswith(".wav") for path in touched[200])
