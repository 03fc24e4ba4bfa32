"""``skvae train`` under PyTorch's own launcher."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from skvae import load_pretrained
from skvae.datasets import make_speech
from skvae.training.distributed import Team

TINY = """
name = "tiny"
description = "Too small to be of use"
training_data = "synthetic speech"
license = "CC0"

[estimator]
class = "SpeechVAE"
n_latent = 2
hidden_layer_sizes = 8
dropout = 0.1
training = { max_iter = 3, batch_size = 33 }

[estimator.stft]
class = "STFT"
n_fft = 128
"""


@pytest.mark.parametrize("size", [1, 2])
def test_one_of_several_processes_ends_without_a_teardown(
    tmp_path, skvae, monkeypatch, size
):
    ended = []
    members = contextlib.nullcontext(Team(size - 1, size))
    monkeypatch.setattr("skvae.training.distributed.team", lambda device: members)
    monkeypatch.setattr("skvae.cli.train._train", lambda *parts: 0)
    monkeypatch.setattr(os, "_exit", ended.append)
    (tmp_path / "tiny.toml").write_text(TINY)
    words = ["train", "--recipe", tmp_path / "tiny.toml", "--clean", tmp_path]
    assert skvae(*words, "-o", tmp_path / "one.safetensors")[0] == 0
    assert ended == [0] * (size - 1)


@pytest.mark.slow
def test_two_processes_write_one_model_which_is_that_of_one(tmp_path, skvae):
    (tmp_path / "clean").mkdir()
    for k in range(4):
        samples = make_speech(3000, random_state=k)
        soundfile.write(tmp_path / f"clean/{k}.wav", samples, 16000)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY)
    words = [
        "train",
        "--recipe",
        recipe,
        "--clean",
        tmp_path / "clean",
        "--device",
        "cpu",
        "-o",
    ]
    status, _, err = skvae(*words, tmp_path / "one.safetensors")
    assert status == 0, err

    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, "--nproc_per_node", "2", "-m", "skvae", *words]
    done = subprocess.run(
        [*map(str, command), str(tmp_path / "two.safetensors")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        *("clean", "tiny.toml", "one.safetensors", "two.safetensors")
    }
    # Only one of them prints.
    lines = [line for line in done.stderr.splitlines() if "epoch" in line]
    assert [line.split(":")[0] for line in lines] == [
        f"SpeechVAE, epoch {k}/3" for k in (1, 2, 3)
    ]
    assert done.stderr.count("2 processes on cpu") == 1
    assert done.stderr.count("wrote ") == 1
    one, two = (load_pretrained(tmp_path / f"{n}.safetensors") for n in ("one", "two"))
    np.testing.assert_allclose(one.loss_curve_, two.loss_curve_, rtol=1e-5)
    for name, weights in one.state_.items():
        np.testing.assert_allclose(two.state_[name], weights, atol=1e-5, err_msg=name)
