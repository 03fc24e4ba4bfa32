"""Training by two processes: the same as by one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.callback import FitCallback
from torch import nn

from skvae import STFT, BiLSTMMask, NoiseAwareVAE, SpeechVAE, Training
from skvae.datasets import make_speech
from skvae.training.checkpoint import Checkpoint
from skvae.training.clean_batches import Batch
from skvae.training.distributed import ALONE, Team, current_team, team
from skvae.training.loop import mean_loss, train
from skvae.training.noisy_batches import Mixtures

SMALL = STFT(n_fft=128)
COMMON = {"stft": SMALL, "random_state": 0, "dropout": 0.2}
# Batches that two processes cannot divide evenly, padded sequences, and draws of all
# kinds: of dropout, latent variables, levels and mixtures.
MODELS = {
    "dense VAE": SpeechVAE(3, 8, training=Training(3, batch_size=67), **COMMON),
    "BiLSTM VAE": SpeechVAE(
        3,
        (8, 6),
        architecture="bilstm",
        training=Training(3, batch_size=7, sequence_length=20),
        **COMMON,
    ),
    "BiLSTM mask": BiLSTMMask(
        hidden_layer_sizes=(6, 6),
        n_mels=6,
        training=Training(4, batch_size=5, sequence_length=16, averaging=0.9),
        **COMMON,
    ),
    "noise-aware VAE": NoiseAwareVAE(
        SpeechVAE(2, 6, training=Training(1)),
        "joint",
        training=Training(2, batch_size=5, sequence_length=20),
        **COMMON,
    ),
}
#: The one that is interrupted, and after how many epochs.
RESUMED, N_BEFORE = "BiLSTM mask", 2


def speech():
    """Utterances of several lengths, some shorter than a sequence."""
    lengths = (2600, 700, 1900, 3100, 900, 2000)
    return [make_speech(n, random_state=k) for k, n in enumerate(lengths)]


def fit(name, checkpoint=None, *callbacks):
    """What comes of a model's training, as arrays."""
    estimator = clone(MODELS[name]).set_params(training__checkpoint=checkpoint)
    if callbacks:
        estimator.set_callbacks(*callbacks)
    estimator.fit(speech())
    curves = "loss_curve_", "validation_loss_curve_"
    return {
        **{curve: np.array(getattr(estimator, curve)) for curve in curves},
        **estimator.state_,
    }


class Interrupted(BaseException):
    """As abrupt as an exception can be."""


class Interrupt(FitCallback):
    """Ends a fit after some epochs."""

    def setup(self, estimator, context):
        self.n_left = N_BEFORE

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, **arguments):
        if context.task_name == "epoch":
            self.n_left -= 1
            if self.n_left == 0:
                raise Interrupted


class Rows(NamedTuple):
    """A batch of numbers."""

    values: torch.Tensor

    @property
    def n_rows(self):
        return len(self.values)

    def part(self, rows):
        return Rows(self.values[rows])


#: Batches of which some have fewer rows than there are processes.
UNEVEN = [[1.0, 5.0, 3.0], [7.0], [2.0, 2.0], [-4.0, 0.0, 1.0, 6.0, 9.0]]


def descend(on_epoch=None, checkpoint=None):
    """Move a weight to the mean of numbers, each of which counts by its size."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)

    def loss(batch, training):
        items = batch.values.abs().sum()
        errors = (module.weight.squeeze() - batch.values).square()
        return (batch.values.abs() * errors).sum() / items, int(items)

    batches = [Rows(torch.tensor(values)) for values in UNEVEN]
    history = train(
        module,
        loss,
        lambda: batches,
        lambda: batches[:2],
        max_iter=6,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    return np.array([*history.loss, *history.validation_loss, module.weight.item()])


def main(folder):
    """What a process does: writes all that the tests look at."""
    with team() as processes:
        rank = processes.rank
        results = {name: fit(name) for name in MODELS}
        checkpoint = os.path.join(folder, "training.checkpoint")
        try:
            fit(RESUMED, checkpoint, Interrupt())
        except Interrupted:
            if processes.is_first:
                shutil.copy(checkpoint, os.path.join(folder, "for one.checkpoint"))
        results["resumed"] = fit(RESUMED, checkpoint)
        results["uneven"] = {"": descend()}
        # One of them wants to stop; they have different files.
        own = Checkpoint(os.path.join(folder, f"{rank}.checkpoint"), "")
        results["stopped"] = {
            "": descend(lambda history: rank == 1 and len(history.loss) == 3, own)
        }
        try:
            descend(checkpoint=own)
        except ValueError as error:
            results["refused"] = {"": np.array(str(error))}
        np.savez(
            os.path.join(folder, f"{rank}.npz"),
            **{
                f"{name}/{key}": array
                for name, arrays in results.items()
                for key, array in arrays.items()
            },
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder to which two processes that know of each other have written."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = []
    try:
        for rank in range(2):
            told = {
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "RANK": str(rank),
                "WORLD_SIZE": "2",
                "OMP_NUM_THREADS": "1",
            }
            command = [sys.executable, __file__, str(folder)]
            started.append(
                subprocess.Popen(
                    command,
                    env={**os.environ, **told},
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        for process in started:
            _, told = process.communicate(timeout=600)
            assert process.returncode == 0, told
    finally:
        for process in started:
            process.kill()
            process.wait()
    return folder


@pytest.fixture(scope="module")
def results(folder):
    """What each of the two has found."""
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(2)]


def part(results, name):
    prefix = f"{name}/"
    return {
        key.removeprefix(prefix): array
        for key, array in results.items()
        if key.startswith(prefix)
    }


def assert_close(found, wanted):
    assert found.keys() == wanted.keys()
    for key, array in wanted.items():
        np.testing.assert_allclose(found[key], array, rtol=1e-5, atol=1e-5, err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_two_processes_learn_what_one_does(name, results):
    alone = fit(name)
    assert len(set(alone["loss_curve_"])) == len(alone["loss_curve_"]) > 1
    assert_close(part(results[0], name), alone)


@pytest.mark.slow
def test_both_processes_end_with_the_same_bits(results):
    first, second = results
    assert first.keys() == second.keys()
    for key in first.keys() - {"refused/"}:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


@pytest.mark.slow
def test_interrupted_training_goes_on_with_two_and_with_one(folder, results):
    uninterrupted, resumed = (part(results[0], name) for name in (RESUMED, "resumed"))
    assert uninterrupted.keys() == resumed.keys()
    for key, array in uninterrupted.items():
        np.testing.assert_array_equal(array, resumed[key], err_msg=key)
    assert_close(fit(RESUMED, folder / "for one.checkpoint"), uninterrupted)


@pytest.mark.slow
def test_rows_count_by_what_they_weigh(results):
    np.testing.assert_allclose(results[0]["uneven/"], descend(), rtol=1e-5)


@pytest.mark.slow
def test_all_stop_when_one_wants_to(results):
    wanted = descend(lambda history: len(history.loss) == 3)
    assert len(wanted) == 7
    np.testing.assert_allclose(results[0]["stopped/"], wanted, rtol=1e-5)


@pytest.mark.slow
def test_the_first_one_writes_and_a_file_that_not_all_see_is_refused(folder, results):
    assert (folder / "0.checkpoint").exists()
    assert not (folder / "1.checkpoint").exists()
    for result in results:
        assert str(result["refused/"]).startswith("1 of 2 processes have found")


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("n_rows", [1, 2, 7, 10])
def test_every_row_is_somebodys_and_shares_are_fair(size, n_rows):
    parts = [Team(rank, size).rows(n_rows) for rank in range(size)]
    rows = [k for part in parts for k in range(n_rows)[part]]
    assert rows == list(range(n_rows))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_parts_of_batches_keep_their_padding():
    power, lengths = torch.arange(24.0).reshape(4, 3, 2), torch.tensor([3, 2, 1, 2])
    batch = Batch(power, lengths).part(slice(1, 3))
    assert torch.equal(batch.power, power[1:3])
    assert batch.lengths.tolist() == [2, 1]
    frames = Batch(power[0]).part(slice(2))
    assert (frames.n_rows, frames.lengths) == (2, None)
    mixtures = Mixtures(power, power + 1, power + 2, lengths).part(slice(1, 3))
    assert (mixtures.n_rows, mixtures.lengths.tolist()) == (2, [2, 1])
    assert torch.equal(mixtures.cross, power[1:3] + 2)


@pytest.mark.parametrize("size", [None, "1"])
def test_without_a_launcher_nothing_is_shared(monkeypatch, size):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if size is not None:
        monkeypatch.setenv("WORLD_SIZE", size)
    with team() as processes:
        assert processes == current_team() == ALONE
        assert not torch.distributed.is_initialized()

        def mean(batch, training):
            return batch.mean(), len(batch)

        # Alone, a batch may be anything.
        assert mean_loss(mean, [torch.ones(3), torch.zeros(1)]) == 0.75


def test_a_process_without_a_gpu_is_told_so(monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="--nproc_per_node 1"), team("cuda"):
        pass
    with pytest.raises(ValueError, match='must be "cuda" for several'), team("cuda:0"):
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
