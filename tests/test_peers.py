"""The comparison with other tools, of which none needs to be installed."""

from __future__ import annotations

import sys

import numpy as np
import pandas
import pytest
import scripts
import soundfile

from skvae.datasets import make_dataset

FOLDER = scripts.ROOT / "benchmarks"

SAMPLE_RATE = 16_000


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return scripts.load("benchmarks/peers.py")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    noisy, clean = make_dataset(2, (0.8, 0.9), snr=0, random_state=0)
    rows = []
    for k, pair in enumerate(zip(noisy, clean, strict=True)):
        for side, waveform in zip(("noisy", "clean"), pair, strict=True):
            (folder / side).mkdir(exist_ok=True)
            path = folder / side / f"pair_{k}.wav"
            soundfile.write(path, 0.5 * waveform, SAMPLE_RATE)
        rows.append((f"pair_{k}", "someone", "hum", "hum.flac", [-5, 10][k], 0.8))
    columns = ["pair", "speaker", "environment", "noise_file", "snr_db", "seconds"]
    pandas.DataFrame(rows, columns=columns).to_csv(folder / "pairs.csv", index=False)
    return folder


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
    assert "peak of memory, MB" in capsys.readouterr().out
    means = pandas.read_csv(csv).groupby("model")["si_sdr"].mean()
    assert means["wiener"] > means["noisy"]


@pytest.mark.parametrize("n_samples", [3, 5, 8])
def test_what_tools_give_becomes_as_long_as_what_they_got(peers, n_samples):
    enhanced = peers.as_long(np.ones(5), n_samples)
    assert len(enhanced) == n_samples
    assert enhanced.sum() == min(5, n_samples)


def test_what_is_no_waveform_is_refused(peers):
    with pytest.raises(ValueError, match=r"must give a waveform, .* \(2, 5\)"):
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
