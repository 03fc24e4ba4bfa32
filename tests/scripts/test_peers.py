"""The comparison with other tools, of which none needs to be installed."""

from __future__ import annotations

import sys

import numpy as np
import pandas
import pytest
import soundfile
from helpers import scripts

from skvae.datasets import make_dataset

pytestmark = pytest.mark.slow

FOLDER = scripts.ROOT / "benchmarks"

SAMPLE_RATE = 16_000


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return scripts.load("benchmarks/peers.py")


def write_pairs(folder, ending="wav", sample_rate=SAMPLE_RATE):
    noisy, clean = make_dataset(2, (0.8, 0.9), snr=0, random_state=0)
    rows = []
    for k, pair in enumerate(zip(noisy, clean, strict=True)):
        for side, waveform in zip(("noisy", "clean"), pair, strict=True):
            (folder / side).mkdir(exist_ok=True)
            path = folder / side / f"pair_{k}.{ending}"
            soundfile.write(path, 0.5 * waveform, sample_rate)
        rows.append((f"pair_{k}", "someone", "hum", "hum.flac", [-5, 10][k], 0.8))
    columns = ["pair", "speaker", "environment", "noise_file", "snr_db", "seconds"]
    pandas.DataFrame(rows, columns=columns).to_csv(folder / "pairs.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put modules with some functions where this and other processes find them."""
    folder = tmp_path / "modules"
    folder.mkdir()

    def install(name, text):
        (folder / f"{name}.py").write_text(text)

    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(folder)
    for name in ("noisereduce", "logmmse", "pyroomacoustics"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return install


HALVES = (
    "def reduce_noise(y, sr, stationary):\n    assert sr == 16000\n    return y / 2\n"
)


def test_tools_that_are_there_are_run_and_the_others_are_named(
    peers, pairs, installed, tmp_path, capsys, monkeypatch
):
    installed("noisereduce", HALVES)
    installed("logmmse", "def logmmse(x, rate):\n    raise TypeError('out of order')\n")
    find_spec = peers.find_spec
    monkeypatch.setattr(
        peers, "find_spec", lambda n: None if n == "pyroomacoustics" else find_spec(n)
    )
    csv = tmp_path / "scores.csv"
    names = ["noisereduce, stationary", "logmmse", "pyroomacoustics, subspace"]
    arguments = ["--pairs", str(pairs), "--metrics", "si_sdr", "--csv", str(csv)]
    assert peers.main([*arguments, "--peers", *names]) == 0
    out = capsys.readouterr().out
    assert "pyroomacoustics, subspace: skipped, pip install pyroomacoustics" in out
    assert "logmmse: failed, TypeError: out of order" in out
    table = pandas.read_csv(csv)
    assert list(table["model"].drop_duplicates()) == ["noisy", names[0]]
    scores = [rows["si_sdr"].to_numpy() for _, rows in table.groupby("model")]
    # To halve a waveform changes nothing of what counts.
    np.testing.assert_allclose(*scores, atol=1e-3)
    assert (table["rtf"] > 0).all()


@pytest.fixture
def nothing_installed(peers, monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)


@pytest.mark.usefixtures("nothing_installed")
def test_where_nothing_is_installed_the_noisy_speech_is_scored_and_all_is_listed(
    peers, pairs, tmp_path, capsys
):
    csv = tmp_path / "scores.csv"
    arguments = ["--pairs", str(pairs), "--metrics", "si_sdr", "--csv", str(csv)]
    assert peers.main([*arguments, "--onnx", "no.onnx"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    for title in ("all pairs", "-5 dB", "10 dB"):
        assert lines[lines.index(title) + 3].split()[0] == "noisy"
    # There is nothing to compare.
    assert "differences to noisy" not in out and "seconds of work" not in out
    assert "peak memory, MB" in lines
    assert lines[-6:] == [
        "noisereduce, stationary: skipped, pip install noisereduce",
        "noisereduce, not stationary: skipped, pip install noisereduce",
        "logmmse: skipped, pip install logmmse",
        "pyroomacoustics, spectral subtraction: skipped, pip install pyroomacoustics",
        "pyroomacoustics, iterative Wiener: skipped, pip install pyroomacoustics",
        "no.onnx: skipped, pip install onnxruntime",
    ]
    assert list(pandas.read_csv(csv)["model"]) == ["noisy", "noisy"]


def test_where_all_tools_fail_the_noisy_speech_is_scored_and_all_is_listed(
    peers, pairs, capsys
):
    arguments = ["--pairs", str(pairs), "--metrics", "si_sdr", "--peers"]
    assert peers.main([*arguments, "--torchscript", "no.pt"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "all pairs" in lines
    assert lines[-1].startswith("no.pt: failed, ")


@pytest.mark.usefixtures("nothing_installed")
def test_pairs_at_another_rate_end_the_run_by_a_line_that_says_so(
    peers, tmp_path, capsys
):
    folder = write_pairs(tmp_path, sample_rate=48_000)
    wanted = r"^noisy: failed, ValueError: .*pair_0.wav must be at 16000 Hz, got 48000"
    with pytest.raises(SystemExit, match=wanted):
        peers.main(["--pairs", str(folder), "--metrics", "si_sdr"])
    out = capsys.readouterr().out
    assert "logmmse: skipped, pip install logmmse" in out


def test_what_is_missing_is_told_whatever_happens(
    peers, pairs, capsys, monkeypatch, nothing_installed
):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(peers, "run_beside", interrupted)
    with pytest.raises(KeyboardInterrupt):
        peers.main(["--pairs", str(pairs)])
    assert "logmmse: skipped, pip install logmmse" in capsys.readouterr().out


@pytest.mark.usefixtures("nothing_installed")
def test_files_are_those_that_the_table_names_in_whatever_format(peers, tmp_path):
    folder = write_pairs(tmp_path, "flac")
    # Of no pair, and of a rate that would be refused.
    soundfile.write(folder / "noisy" / "another.wav", np.ones(800), 8000)
    csv = tmp_path / "scores.csv"
    arguments = ["--pairs", str(folder), "--metrics", "si_sdr", "--csv", str(csv)]
    assert peers.main(arguments) == 0
    table = pandas.read_csv(csv)
    assert list(table["file"]) == ["pair_0.flac", "pair_1.flac"]
    assert table["si_sdr"].notna().all()
    (folder / "noisy" / "pair_1.flac").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 missing: noisy.pair_1.wav"):
        peers.main(arguments)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_torchscript_file_takes_and_gives_a_waveform(peers, pairs, tmp_path, capsys):
    import torch

    class Turn(torch.nn.Module):
        def forward(self, waveform):
            return -waveform[:, :-160]

    path = tmp_path / "turn.pt"
    torch.jit.trace(Turn(), torch.zeros(1, 1600)).save(str(path))
    csv = tmp_path / "scores.csv"
    arguments = ["--pairs", str(pairs), "--metrics", "si_sdr", "--csv", str(csv)]
    peers.main([*arguments, "--peers", "--torchscript", str(path)])
    assert str(path) in capsys.readouterr().out
    table = pandas.read_csv(csv)
    noisy, turned = (rows for _, rows in table.groupby("model", sort=False))
    # The sign counts for nothing, and what is missing at the end for little.
    np.testing.assert_allclose(turned["si_sdr"], noisy["si_sdr"], atol=0.5)
    # Its process has torch in memory, which the other has not.
    assert turned["peak_mb"].iloc[0] > 2 * noisy["peak_mb"].iloc[0]


def test_an_onnx_file_is_given_the_waveform_by_its_only_input(
    peers, installed, monkeypatch
):
    installed(
        "onnxruntime",
        """
class SessionOptions: pass
class Input: name = "sound"
class InferenceSession:
    def __init__(self, path, options, providers):
        assert options.intra_op_num_threads == 1
        self.n_inputs = int(path)
    def get_inputs(self):
        return [Input] * self.n_inputs
    def run(self, names, inputs):
        assert inputs["sound"].shape == (1, 5)
        return [2 * inputs["sound"]]
""",
    )
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    np.testing.assert_array_equal(peers.load_onnx("1")(np.ones(5)), np.full(5, 2.0))
    with pytest.raises(ValueError, match="one input, a waveform, got sound, sound"):
        peers.load_onnx("2")
    monkeypatch.delitem(sys.modules, "onnxruntime")


def test_models_of_this_package_are_run_like_the_others(peers, pairs, tmp_path, capsys):
    csv = tmp_path / "scores.csv"
    arguments = ["--pairs", str(pairs), "--metrics", "si_sdr", "--csv", str(csv)]
    peers.main([*arguments, "--peers", "--models", "wiener"])
    assert "peak memory, MB" in capsys.readouterr().out
    means = pandas.read_csv(csv).groupby("model")["si_sdr"].mean()
    assert means["wiener"] > means["noisy"]


@pytest.mark.parametrize("n_samples", [3, 5, 8])
def test_what_tools_give_becomes_as_long_as_what_they_got(peers, n_samples):
    enhanced = peers.as_long(np.ones(5), n_samples)
    assert len(enhanced) == n_samples
    assert enhanced.sum() == min(5, n_samples)


def test_what_is_no_waveform_is_refused(peers):
    with pytest.raises(ValueError, match=r"must return a waveform, .* \(2, 5\)"):
        peers.as_long(np.ones((2, 5)), 5)


def test_a_folder_of_pairs_must_be_named(peers, capsys):
    with pytest.raises(SystemExit):
        peers.main([])
    assert "--pairs" in capsys.readouterr().err


def test_what_comes_late_is_brought_back_in_time(peers, installed):
    installed(
        "pyroomacoustics",
        """
import numpy as np
class denoise:
    def apply(x):
        return np.concatenate([np.zeros(3), x])[:len(x)]
""",
    )
    sound = np.arange(1.0, 9.0)
    np.testing.assert_array_equal(peers.load_pyroomacoustics("apply", 3)(sound), sound)
    sys.modules.pop("pyroomacoustics")
