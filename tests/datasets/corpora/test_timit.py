from __future__ import annotations

import numpy as np
import pytest
import soundfile

from skvae.datasets import load_timit

SENTENCES = [
    *("SA1", "SA2", "SI648", "SI1027", "SI1657"),
    *("SX37", "SX127", "SX217", "SX307", "SX397"),
]


def make(root, subset="TEST", speakers=("FCJF0", "MDAB0"), lower=False, ending=".WAV"):
    """Create eight dialects with speakers, ten sentences each, and transcripts."""
    for dialect in range(1, 9):
        for speaker in speakers:
            place = f"{subset}/DR{dialect}/{speaker[:-1]}{dialect}"
            folder = root / (place.lower() if lower else place)
            folder.mkdir(parents=True)
            for sentence in SENTENCES:
                for suffix in (ending, ".TXT", ".PHN"):
                    name = f"{sentence}{suffix}"
                    (folder / (name.lower() if lower else name)).touch()
    return root


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("ending", [".WAV", ".flac", ".WAV.wav"])
@pytest.mark.parametrize("inside", ["", "TIMIT", "timit/data/TIMIT"])
def test_ten_sentences_of_each_speaker_in_any_case(tmp_path, lower, ending, inside):
    make(tmp_path / inside, lower=lower, ending=ending)
    corpus = load_timit(tmp_path)
    assert len(corpus) == 8 * 2 * 10
    assert corpus.noisy is None
    assert len(set(corpus.speakers)) == 16
    assert corpus.utterances[0] == "DR1/FCJF1/SA1"
    assert corpus.speakers[0] == "FCJF1"
    name = f"SA1{ending}"
    assert corpus.clean[0].path.endswith(name.lower() if lower else name)


def test_subsets_and_kinds_of_sentences(tmp_path):
    make(tmp_path)
    make(tmp_path, "TRAIN", ["FAAA0"])
    corpus = load_timit(tmp_path, "train", sentences=["SX", "SI"])
    assert len(corpus) == 8 * 8
    assert not any("/SA" in name for name in corpus.utterances)
    assert set(corpus.speakers) == {f"FAAA{k}" for k in range(1, 9)}


def test_a_converted_copy_beside_the_original_counts_once(tmp_path):
    make(tmp_path)
    make(tmp_path / "other", ending=".WAV.wav")
    for path in (tmp_path / "other").rglob("*.wav"):
        path.rename(tmp_path / path.relative_to(tmp_path / "other"))
    assert len(load_timit(tmp_path)) == 160


def test_sphere_files_are_read(tmp_path):
    make(tmp_path)
    for path in tmp_path.rglob("*.WAV"):
        soundfile.write(path, np.full(80, 0.5), 16000, format="NIST")
    corpus = load_timit(tmp_path)
    assert np.asarray(corpus.clean[3]).tolist() == [0.5] * 80
    path = corpus.clean[0].path
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(content.replace(b"-s3 pcm", b"-s9 pcm,short"))
    with pytest.raises(ValueError, match="TIMIT is compressed"):
        load_timit(tmp_path)


def test_missing_dialects_and_sentences_are_listed(tmp_path):
    make(tmp_path)
    (tmp_path / "TEST/DR5").rename(tmp_path / "lost")
    (tmp_path / "TEST/DR2/FCJF2/SX37.WAV").unlink()
    (tmp_path / "TEST/DR2/FCJF2/SX127.WAV").unlink()
    (tmp_path / "TEST/DR3/MDAB3/SA1.WAV").unlink()
    with pytest.raises(FileNotFoundError) as error:
        load_timit(tmp_path)
    assert str(error.value).startswith(f"TIMIT test in {str(tmp_path)!r} is incomplete")
    assert (
        "3 missing: TEST/DR5, DR2/FCJF2: 2 of the 5 SX sentences, "
        "DR3/MDAB3: 1 of the 2 SA sentences."
    ) in str(error.value)


def test_sentences_that_are_not_wanted_may_be_missing(tmp_path):
    make(tmp_path)
    (tmp_path / "TEST/DR3/MDAB3/SA1.WAV").unlink()
    assert len(load_timit(tmp_path, sentences=["SX"])) == 80


@pytest.mark.parametrize("lower", [False, True])
def test_speakers_that_the_table_lists_must_be_there(tmp_path, lower):
    make(tmp_path, lower=lower)
    folder = tmp_path / ("doc" if lower else "DOC")
    folder.mkdir()
    table = folder / ("spkrinfo.txt" if lower else "SPKRINFO.TXT")
    rows = ["; SPKRINFO.TXT", "CJF1  F  1   TST  03/03/86  10/12/59", ""]
    table.write_text("\n".join([*rows, "DAB2  M  2   TST", "XYZ0  M  3   TRN"]))
    assert len(load_timit(tmp_path)) == 160
    table.write_text("\n".join([*rows, "XYZ0  F  3   TST", "ABC0  M  4  TST  '88"]))
    with pytest.raises(FileNotFoundError, match="2 missing: DR3/FXYZ0, DR4/MABC0"):
        load_timit(tmp_path)


@pytest.mark.parametrize("sentences", ["SA", [], ["SA", "SO"]])
def test_sentences_must_be_a_list_of_known_kinds(tmp_path, sentences):
    with pytest.raises(ValueError, match="`sentences` must be a list"):
        load_timit(make(tmp_path), sentences=sentences)


def test_a_folder_without_the_subset_is_refused(tmp_path):
    make(tmp_path)
    with pytest.raises(FileNotFoundError, match="1 missing: TRAIN"):
        load_timit(tmp_path, "train")
    with pytest.raises(ValueError, match="`subset` must be"):
        load_timit(tmp_path, "valid")


@pytest.mark.parametrize("inside", ["data", "TIMIT/data", ""])
@pytest.mark.parametrize("place", ["", "DOC", "doc"])
def test_the_table_of_speakers_may_lie_higher_up(tmp_path, inside, place):
    make(tmp_path / inside)
    table = (tmp_path / inside).parent / place if inside else tmp_path / place
    table.mkdir(exist_ok=True)
    (table / "SpkrInfo.txt").write_text("CJF1  F  1  TST\nXYZ0  F  3  TST\n")
    for root in {tmp_path, tmp_path / inside, tmp_path / inside / "TEST"}:
        with pytest.raises(FileNotFoundError, match=r"1 missing: DR3/FXYZ0.*SpkrInfo"):
            load_timit(root)


def test_dialects_without_speakers_are_refused_without_a_table(tmp_path):
    make(tmp_path)
    for path in (tmp_path / "TEST/DR4").iterdir():
        path.rename(tmp_path / path.name)
    with pytest.raises(FileNotFoundError, match="1 missing: all speakers of DR4"):
        load_timit(tmp_path)


def test_other_folders_called_test_are_passed_over(tmp_path):
    root = tmp_path / "test"
    make(root / "timit/timit")
    (root / "timit/test/results").mkdir(parents=True)
    assert len(load_timit(root)) == 160
    with pytest.raises(FileNotFoundError, match=r"1 missing: TEST\. A folder .*DR8\."):
        load_timit(root / "timit/test")


def test_speakers_that_are_links_to_nothing_are_missing(tmp_path):
    make(tmp_path)
    (tmp_path / "TEST/DR2/FXYZ0").symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="1 missing: DR2/FXYZ0"):
        load_timit(tmp_path)
