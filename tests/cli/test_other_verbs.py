"""``skvae evaluate``, ``models``, ``demo``, and the command as such."""

from __future__ import annotations

import csv
import subprocess
import sys

import pytest
import soundfile

import skvae as package


def test_evaluate_scores_the_input_and_the_model(corpus, skvae):
    table = corpus / "rows.csv"
    status, out, _ = skvae(
        *("evaluate", "--noisy", corpus / "noisy", "--clean", corpus / "clean"),
        *("--model", "log-mmse", "--metrics", "si_sdr,sdr", "--csv", table),
    )
    assert status == 0
    assert "noisy" in out
    assert "log-mmse" in out
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    before, after = (
        [float(row["si_sdr"]) for row in rows if row["system"] == system]
        for system in ("noisy", "log-mmse")
    )
    assert all(y > x for x, y in zip(before, after, strict=True))


def test_evaluate_scores_what_another_tool_made(corpus, skvae):
    skvae("enhance", corpus / "noisy", "-o", corpus / "out", "--quiet")
    status, out, _ = skvae(
        *("evaluate", "--noisy", corpus / "noisy", "--clean", corpus / "clean"),
        *("--enhanced", corpus / "out", "--metrics", "si_sdr", "--quiet"),
    )
    assert status == 0
    assert str(corpus / "out") in out


def test_evaluate_says_which_files_have_no_partner(corpus, skvae):
    (corpus / "clean/one.wav").unlink()
    status, _, err = skvae(
        "evaluate", "--noisy", corpus / "noisy", "--clean", corpus / "clean"
    )
    assert status == 1
    assert "1 of 3 files" in err
    assert "one" in err


def test_evaluate_knows_its_metrics(corpus, skvae):
    status, _, err = skvae(
        *("evaluate", "--noisy", corpus / "noisy", "--clean", corpus / "clean"),
        *("--metrics", "loudness"),
    )
    assert status == 2
    assert "loudness" in err
    assert "si_sdr" in err


def test_models_are_listed_a_line_each(skvae):
    status, out, _ = skvae("models")
    assert status == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert names == ["spectral-subtraction", "wiener", "log-mmse", "is-nmf", "rpca"]
    assert out.count("(default)") == 1


def test_demo_writes_what_it_promises_and_gains(tmp_path, skvae):
    pytest.importorskip("matplotlib")
    status, out, _ = skvae("demo", "-o", tmp_path / "demo")
    assert status == 0
    written = {path.name for path in (tmp_path / "demo").iterdir()}
    assert written == {"noisy.wav", "enhanced.wav", "clean.wav", "spectrograms.png"}
    [line] = [line for line in out.splitlines() if line.startswith("SI-SDR")]
    before, after = map(float, line.split()[-2:])
    assert after > before + 3
    assert soundfile.info(tmp_path / "demo/noisy.wav").duration == 5


def test_demo_goes_on_without_the_extras(tmp_path, skvae, monkeypatch):
    for module in ("matplotlib", "pesq"):
        monkeypatch.setitem(sys.modules, module, None)
    status, out, _ = skvae("demo", "-o", tmp_path / "demo")
    assert status == 0
    assert 'pip install "skvae[plot]"' in out
    assert 'pip install "skvae[pesq]"' in out
    assert "SI-SDR" in out
    assert not (tmp_path / "demo/spectrograms.png").exists()


def test_demo_says_where_it_cannot_write(tmp_path, skvae):
    (tmp_path / "file").write_text("")
    status, _, err = skvae("demo", "-o", tmp_path / "file")
    assert status == 1
    assert str(tmp_path / "file") in err


def test_the_command_and_the_module_are_one():
    for words in (["-m", "skvae.cli", "--version"],):
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"skvae {package.__version__}\n"


@pytest.mark.parametrize("verb", ["enhance", "evaluate", "models", "demo"])
def test_help_is_there_for_every_verb(skvae, verb):
    status, out, _ = skvae(verb, "--help")
    assert status == 0
    assert f"usage: skvae {verb}" in out


def test_no_verb_is_a_mistake(skvae):
    status, _, err = skvae()
    assert status == 2
    assert "COMMAND" in err
