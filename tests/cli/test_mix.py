"""``skvae mix``."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict

import numpy as np
import pytest
import soundfile

from skvae.cli import mix as mix_verb
from skvae.datasets import make_noise, make_speech


@pytest.fixture
def sounds(tmp_path):
    """Folders speech/ and noise/, the noise of two kinds."""

    def write(path, waveform):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, waveform, 16000)

    for k in range(4):
        speech = make_speech(4000, random_state=k)
        write(tmp_path / f"speech/speaker{k % 2}/{k}.wav", speech)
    for k, kind in enumerate(["pink", "wind"]):
        noise = make_noise(9000, kind, random_state=k)
        write(tmp_path / f"noise/{kind}/{k}.flac", noise)
    return tmp_path


def mix(skvae, folder, *words, out="pairs"):
    return skvae(
        *("mix", "--clean", folder / "speech", "--noise", folder / "noise"),
        *("-o", folder / out, *words),
    )


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows(folder):
    with open(folder / "pairs.csv", newline="") as file:
        return list(csv.DictReader(file))


def left(folder):
    """Contents of a folder, including hidden files."""
    return {path.name for path in folder.iterdir()}


def test_pairs_are_written_and_evaluated(sounds, skvae):
    status, out, err = mix(skvae, sounds, "--snr", "-5", "10")
    assert status == 0
    assert out == ""
    assert err.splitlines()[-1].startswith("wrote 4 pairs with 2 kinds of noise")
    table = rows(sounds / "pairs")
    assert {(row["environment"], row["snr_db"]) for row in table} == {
        *(("pink", "-5"), ("pink", "10"), ("wind", "-5"), ("wind", "10"))
    }
    for row in table:
        clean, noisy = (
            soundfile.read(sounds / "pairs" / side / f"{row['pair']}.wav")[0]
            for side in ("clean", "noisy")
        )
        ratio = np.sum(clean**2) / np.sum((noisy - clean) ** 2)
        assert 10 * np.log10(ratio) == pytest.approx(float(row["snr_db"]), abs=0.1)
        source = sounds / "speech" / row["speaker"] / row["utterances"]
        gain = clean @ soundfile.read(source)[0] / np.sum(clean**2)
        np.testing.assert_allclose(
            gain * clean, soundfile.read(source)[0], atol=gain / 2**14
        )
    pairs = sounds / "pairs"
    status, out, _ = skvae(
        *("evaluate", "--noisy", pairs / "noisy", "--clean", pairs / "clean"),
        *("--metrics", "si_sdr", "--quiet"),
    )
    assert status == 0
    assert out.splitlines()[0] == "noisy"


def test_the_same_command_gives_the_same_files(sounds, skvae):
    words = ("--snr", "0", "--augment", "--synthetic", "0.5", "--quiet")
    for out, seed in (("one", 0), ("again", 0), ("other", 1)):
        assert mix(skvae, sounds, *words, "--seed", seed, out=out) == (0, "", "")
    one, again, other = (contents(sounds / x) for x in ("one", "again", "other"))
    assert one == again
    assert one.keys() == other.keys()
    assert one["noisy/pair_000.wav"] != other["noisy/pair_000.wav"]
    environments = Counter(row["environment"] for row in rows(sounds / "one"))
    assert environments["synthetic"] == 2


def test_copies_of_an_utterance_meet_other_noise(sounds, skvae):
    mix(skvae, sounds, "--snr", "0", "5", "--copies", "4", "--quiet")
    met = defaultdict(set)
    for row in rows(sounds / "pairs"):
        met[row["utterances"]].add((row["environment"], row["snr_db"]))
    assert len(met) == 4
    assert max(map(len, met.values())) > 1
    noisy = {path.read_bytes() for path in (sounds / "pairs/noisy").iterdir()}
    assert len(noisy) == 16


def test_no_recordings_of_noise_are_needed_where_all_is_made(sounds, skvae):
    words = ("mix", "--clean", sounds / "speech", "-o", sounds / "out", "--snr", "0")
    assert skvae(*words, "--synthetic", "1", "--quiet")[0] == 0
    assert {row["environment"] for row in rows(sounds / "out")} == {"synthetic"}
    status, _, err = skvae(*words, "--synthetic", "0.5")
    assert status == 2
    assert "--noise DIR is missing" in err


def test_pairs_that_are_there_are_replaced_only_when_asked(sounds, skvae):
    mix(skvae, sounds, "--snr", "0", "--quiet")
    before = contents(sounds / "pairs")
    status, _, err = mix(skvae, sounds, "--snr", "5")
    assert status == 1
    assert "--overwrite" in err
    assert contents(sounds / "pairs") == before
    status, _, _ = mix(skvae, sounds, "--snr", "5", "--overwrite", "--quiet")
    assert status == 0
    assert {row["snr_db"] for row in rows(sounds / "pairs")} == {"5"}
    assert left(sounds) == {"speech", "noise", "pairs"}


def test_what_appears_while_pairs_are_made_is_not_replaced(sounds, skvae, monkeypatch):
    write_pairs = mix_verb.write_pairs

    def write_slowly(*arguments):
        yield from write_pairs(*arguments)
        (sounds / "pairs").mkdir()
        (sounds / "pairs/mine.txt").write_text("mine")

    monkeypatch.setattr(mix_verb, "write_pairs", write_slowly)
    status, _, err = mix(skvae, sounds, "--snr", "0")
    assert status == 1
    assert "nothing was written" in err
    assert contents(sounds / "pairs") == {"mine.txt": b"mine"}
    assert left(sounds) == {"speech", "noise", "pairs"}


@pytest.mark.parametrize("foreign", ["letter.txt", "clean/mine.wav"])
def test_what_is_not_ours_is_never_replaced(sounds, skvae, foreign):
    mix(skvae, sounds, "--snr", "0", "--quiet")
    (sounds / "pairs" / foreign).write_text("dear me")
    before = contents(sounds / "pairs")
    status, _, err = mix(skvae, sounds, "--snr", "5", "--overwrite")
    assert status == 1
    assert "contains other files than skvae mix writes" in err
    assert contents(sounds / "pairs") == before


def test_inputs_are_never_replaced(sounds, skvae):
    mix(skvae, sounds, "--snr", "0", "--quiet")
    before = contents(sounds / "pairs")
    status, _, err = skvae(
        *("mix", "--clean", sounds / "pairs/clean", "--noise", sounds / "noise"),
        *("--snr", "0", "-o", sounds / "pairs", "--overwrite"),
    )
    assert status == 1
    assert "would be lost" in err
    assert contents(sounds / "pairs") == before


def test_what_a_run_wrote_below_its_input_is_no_input(sounds, skvae):
    for words in ([], ["--overwrite"]):
        status, _, _ = mix(skvae, sounds, "--snr", "0", *words, out="speech/pairs")
        assert status == 0
    assert len(rows(sounds / "speech/pairs")) == 4


def test_a_file_that_cannot_be_read_leaves_nothing(sounds, skvae):
    (sounds / "speech/speaker1/9.wav").write_text("no sound")
    for words in ([], ["--overwrite"]):
        status, _, err = mix(skvae, sounds, "--snr", "0", *words)
        assert status == 1
        assert "9.wav" in err
        assert "nothing was written" in err
        assert left(sounds) == {"speech", "noise"}
        assert "Traceback" not in err


def test_a_failure_leaves_what_was_there(sounds, skvae):
    mix(skvae, sounds, "--snr", "0", "--quiet")
    before = contents(sounds / "pairs")
    (sounds / "speech/speaker1/9.wav").write_text("no sound")
    assert mix(skvae, sounds, "--snr", "5", "--overwrite")[0] == 1
    assert contents(sounds / "pairs") == before
    assert left(sounds) == {"speech", "noise", "pairs"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--snr", "nan"], "--snr"),
        (["--snr", "0", "--synthetic", "2"], "--synthetic"),
        (["--snr", "0", "--copies", "0"], "--copies"),
        (["--snr", "0", "--seed", "-1"], "--seed"),
        ([], "--snr"),
    ],
)
def test_mistakes_are_found_before_the_work(sounds, skvae, words, message):
    status, _, err = mix(skvae, sounds, *words)
    assert status == 2
    assert message in err
    assert left(sounds) == {"speech", "noise"}


def test_folders_without_sound_and_files_for_folders_are_told(sounds, skvae):
    (sounds / "empty").mkdir()
    words = ("mix", "--clean", sounds / "speech", "--snr", "0")
    status, _, err = skvae(*words, "--noise", sounds / "empty", "-o", sounds / "out")
    assert status == 1
    assert "no audio" in err
    (sounds / "file").write_text("")
    status, _, err = skvae(
        *words, "--noise", sounds / "noise", "-o", sounds / "file", "--overwrite"
    )
    assert status == 2
    assert "is a file" in err


def test_help_shows_how(skvae):
    status, out, _ = skvae("mix", "--help")
    assert status == 0
    assert "skvae mix --clean speech/ --noise noise/ --snr -5 0 5 10 -o pairs/" in out
