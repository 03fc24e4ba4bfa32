from __future__ import annotations

import os

import numpy as np
import pytest
import soundfile

from skvae.datasets import AudioFile, load_folders, load_pairs
from skvae.datasets.mixing.pairs import LabeledPair, write_pairs


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def table(root, text, name="own.csv", encoding="utf-8"):
    path = root / name
    path.write_text(text, encoding=encoding)
    return path


def test_recordings_at_the_same_place_belong_together(tmp_path):
    touch(tmp_path, "clean/ann/1.wav", "clean/bob/1.wav", "clean/2.wav", "clean/a.txt")
    touch(
        tmp_path, "noisy/ann/1.flac", "noisy/bob/1.wav", "noisy/2.wav", "noisy/.x.wav"
    )
    corpus = load_folders(tmp_path / "clean", tmp_path / "noisy")
    assert corpus.utterances.tolist() == ["2", "ann/1", "bob/1"]
    assert corpus.speakers.tolist() == ["", "ann", "bob"]
    assert [audio.path for audio in corpus.noisy] == [
        str(tmp_path / "noisy" / name) for name in ("2.wav", "ann/1.flac", "bob/1.wav")
    ]
    assert [audio.path for audio in corpus.clean] == [
        str(tmp_path / "clean" / name) for name in ("2.wav", "ann/1.wav", "bob/1.wav")
    ]


def test_clean_speech_alone(tmp_path):
    touch(tmp_path, "ann/1.wav", "ann/1.mp3", "bob.x/2.b.wav")
    corpus = load_folders(tmp_path, name="speech")
    assert corpus.noisy is None
    assert corpus.utterances.tolist() == ["ann/1", "bob.x/2.b"]
    assert corpus.clean[0].path.endswith("1.wav")
    assert repr(corpus) == "Corpus('speech': 2 utterances, 2 speakers)"


def test_what_has_no_counterpart_is_listed(tmp_path):
    touch(tmp_path, "clean/1.wav", "clean/2.wav", "noisy/2.wav", "noisy/3.wav")
    with pytest.raises(FileNotFoundError) as error:
        load_folders(tmp_path / "clean", tmp_path / "noisy")
    assert "2 missing: " in str(error.value)
    assert f"{tmp_path / 'noisy' / '1'} (noisy)" in str(error.value)
    assert f"{tmp_path / 'clean' / '3'} (clean)" in str(error.value)


def test_links_are_followed_and_those_to_nothing_are_missing(tmp_path):
    for side in ("clean", "noisy"):
        touch(tmp_path, f"{side}/1.wav", f"disk/{side}/2.wav")
        (tmp_path / side / "cat").symlink_to(tmp_path / "disk" / side)
        (tmp_path / side / "loop").symlink_to(tmp_path / side)
    corpus = load_folders(tmp_path / "clean", tmp_path / "noisy")
    assert corpus.utterances.tolist() == ["1", "cat/2"]
    assert corpus.speakers.tolist() == ["", "cat"]
    (tmp_path / "clean/dog").symlink_to(tmp_path / "gone")
    (tmp_path / "disk/clean/2.wav").unlink()
    (tmp_path / "disk/clean/2.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(FileNotFoundError, match="2 missing") as error:
        load_folders(tmp_path / "clean", tmp_path / "noisy")
    for link in ("dog", os.path.join("cat", "2.wav")):
        assert f"{tmp_path / 'clean' / link} (a broken link)" in str(error.value)


def test_folders_without_audio_and_without_folders(tmp_path):
    touch(tmp_path, "clean/a.txt")
    with pytest.raises(FileNotFoundError, match="all audio"):
        load_folders(tmp_path / "clean")
    with pytest.raises(FileNotFoundError, match="noisy speech must be a folder"):
        load_folders(tmp_path / "clean", tmp_path / "gone")


def test_what_is_written_is_read(tmp_path):
    sound = 0.1 * np.sin(np.arange(800))
    pairs = [
        LabeledPair("ann", "1.wav", "street", "car.wav", 2.5, 8000, sound / 2, sound),
        LabeledPair("bob", "2.wav", "rain", "roof.wav", -5, 8000, sound / 3, sound),
    ]
    rows = list(write_pairs(pairs, tmp_path, 2))
    corpus = load_pairs(tmp_path, sample_rate=8000)
    assert corpus.utterances.tolist() == [row[0] for row in rows]
    assert corpus.speakers.tolist() == ["ann", "bob"]
    assert corpus.noises.tolist() == ["street", "rain"]
    assert corpus.snrs.tolist() == [2.5, -5]
    for pair, clean, noisy in zip(pairs, corpus.clean, corpus.noisy, strict=True):
        np.testing.assert_allclose(np.asarray(clean), pair.clean, atol=1e-4)
        np.testing.assert_allclose(np.asarray(noisy), pair.noisy, atol=1e-4)
    assert len(load_pairs(tmp_path / "pairs.csv")) == 2


def test_a_table_of_ones_own(tmp_path):
    touch(tmp_path, "mix/1.wav", "mix/2.wav", "speech/a/9.flac", "elsewhere/b.wav")
    far = tmp_path / "elsewhere" / "b.wav"
    text = (
        "snr,noisy,clean,mood,speaker,noise\n"
        '5.5, mix/1.wav ,speech/a/9.flac,glad,"Ann, Lee",rain\n'
        "\n"
        f",mix/2.wav,{far},,,\n"
    )
    # Spreadsheets write a byte order mark.
    corpus = load_pairs(table(tmp_path, text, encoding="utf-8-sig"))
    assert corpus.name == tmp_path.name
    assert corpus.noisy == [
        AudioFile(tmp_path / "mix" / f"{k}.wav", sample_rate=16000) for k in (1, 2)
    ]
    assert corpus.clean[1].path == str(far)
    assert corpus.speakers.tolist() == ["Ann, Lee", ""]
    assert corpus.noises.tolist() == ["rain", ""]
    np.testing.assert_array_equal(corpus.snrs, [5.5, np.nan])
    assert corpus.utterances.tolist() == ["1", "2"]


@pytest.mark.parametrize("side", ["clean", "noisy"])
def test_a_table_may_have_one_side(tmp_path, side):
    touch(tmp_path, "a.wav")
    corpus = load_pairs(table(tmp_path, f"utterance,{side}\nfirst,a.wav\n"))
    assert getattr(corpus, side)[0].path == str(tmp_path / "a.wav")
    assert {"clean": corpus.noisy, "noisy": corpus.clean}[side] is None
    assert corpus.utterances.tolist() == ["first"]


def test_a_relative_path_stays_relative(tmp_path, monkeypatch):
    touch(tmp_path, "a.wav", "sub/b.wav")
    table(tmp_path, "clean\na.wav\nsub/b.wav\n")
    monkeypatch.chdir(tmp_path)
    assert [a.path for a in load_pairs("own.csv").clean] == ["a.wav", "sub/b.wav"]


def test_pairs_may_be_of_any_audio(tmp_path):
    table(tmp_path, "pair\na.b\n", "pairs.csv")
    for side in ("clean", "noisy"):
        (tmp_path / side).mkdir()
        soundfile.write(tmp_path / side / "a.b.flac", np.zeros(10), 16000)
    assert len(load_pairs(tmp_path).noisy[0]) == 10


def test_missing_recordings_are_listed_and_counted(tmp_path):
    touch(tmp_path, "0.wav")
    names = "".join(f"{k}.wav,0.wav\n" for k in range(10))
    with pytest.raises(
        FileNotFoundError, match=r"9 missing: 1\.wav, .*5\.wav and 4 more"
    ):
        load_pairs(table(tmp_path, f"noisy,clean\n{names}"))
    with pytest.raises(FileNotFoundError, match=r"missing: clean/x\.wav, noisy/x\.wav"):
        load_pairs(table(tmp_path, "pair\nx\n"))
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(FileNotFoundError, match=r"1 missing: a\.wav"):
        load_pairs(table(tmp_path, "noisy\na.wav\n"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"1 missing: pairs\.csv"):
        load_pairs(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        load_pairs(tmp_path / "gone.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns clean and noisy, or pair, got nothing"),
        ("file,snr\na.wav,5\n", "got file, snr"),
        ("noisy,clean\n", "a row for each pair, got none"),
        ("noisy,clean\na.wav\n", "line 2 must have 2 cells .* got 1"),
        ("noisy,clean\na.wav,a.wav\na.wav,\n", "line 3: clean is empty"),
        ("noisy,snr\na.wav,loud\n", "pair 1: the SNR must be .* got 'loud'"),
        ("noisy\n\x00\n", "a"),
    ],
)
def test_a_broken_table_says_where(tmp_path, text, message):
    touch(tmp_path, "a.wav")
    with pytest.raises((ValueError, OSError), match=message):
        load_pairs(table(tmp_path, text))


def test_text_that_is_not_utf_8_is_refused(tmp_path):
    path = table(tmp_path, "noisy\ncafé.wav\n", encoding="latin-1")
    with pytest.raises(ValueError, match="cannot be read as a table"):
        load_pairs(path)


def test_no_file_is_looked_at_by_itself(tmp_path, monkeypatch):
    touch(tmp_path, *(f"clean/s{k % 7}/{k}.wav" for k in range(200)))
    path = table(
        tmp_path, "clean\n" + "".join(f"clean/s{k % 7}/{k}.wav\n" for k in range(200))
    )
    calls = []
    real = os.stat
    monkeypatch.setattr(
        os, "stat", lambda p, *a, **k: calls.append(p) or real(p, *a, **k)
    )
    assert len(load_pairs(path)) == len(load_folders(tmp_path / "clean")) == 200
    assert not any(str(call).endswith(".wav") for call in calls)
