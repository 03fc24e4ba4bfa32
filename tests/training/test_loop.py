"""The training loop, on problems whose answers are known."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import nn

from skvae.training.checkpoint import Checkpoint
from skvae.training.loop import Optimization, TrainingStep, mean_loss, train
from skvae.utils.threads import one_thread


class Scalar(nn.Module):
    """One weight."""

    def __init__(self, value=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(float(value)))


def moving(module):
    """Training pushes the weight up for ever; validation wants it to be 0.5."""

    def loss(batch, training):
        if training:
            return -module.weight * batch, 1
        return (module.weight - 0.5).square() + batch, 1

    return loss


TENTH = Optimization(learning_rate=0.1)
ONE = (torch.tensor(1.0),)
ZERO = (torch.tensor(0.0),)


def test_early_stopping_restores_the_best_weights():
    module = Scalar()
    seen = []
    history = train(
        module,
        moving(module),
        lambda: ONE,
        lambda: ZERO,
        max_iter=100,
        optimization=TENTH,  # Adam's steps on a constant gradient: 0.1, 0.2, 0.3, ...
        n_iter_no_change=3,
        on_epoch=lambda history: seen.append(module.weight.item()),
    )
    assert seen == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], abs=1e-5)
    assert history.best_epoch == 5
    assert len(history.loss) == len(history.validation_loss) == 8
    assert module.weight.item() == pytest.approx(0.5, abs=1e-5)
    assert history.best_loss == min(history.validation_loss)


def test_the_start_counts_if_it_is_asked_to():
    for counts, kept in ((True, 3.0), (False, 3.1)):
        module = Scalar(3.0)
        history = train(
            module,
            moving(module),
            lambda: ONE,
            lambda: ZERO,
            max_iter=2,
            optimization=TENTH,
            start_counts=counts,
        )
        assert module.weight.item() == pytest.approx(kept, abs=1e-5)
        assert history.best_epoch == (0 if counts else 1)
        assert history.best_loss == pytest.approx((kept - 0.5) ** 2, rel=1e-4)


def test_without_validation_all_epochs_are_run_and_the_last_weights_kept():
    module = Scalar()
    history = train(
        module,
        moving(module),
        lambda: ONE,
        max_iter=30,
        optimization=TENTH,
        n_iter_no_change=1,
    )
    assert module.weight.item() == pytest.approx(3.0, abs=1e-4)
    assert (len(history.loss), history.best_epoch) == (30, 30)
    assert history.validation_loss == []
    assert history.best_loss == history.loss[-1]


def test_a_callback_may_stop():
    module = Scalar()
    history = train(
        module,
        moving(module),
        lambda: ONE,
        lambda: ZERO,
        max_iter=100,
        on_epoch=lambda history: len(history.loss) == 4,
    )
    assert len(history.loss) == 4


def test_steps_are_those_of_adam():
    target = torch.tensor([1.0, -2.0, 0.1])
    module = nn.Linear(1, 3)
    twin = nn.Linear(1, 3)
    twin.load_state_dict(module.state_dict())
    x = torch.ones(2, 1)

    def loss(batch, training):
        return (module(batch) - target).square().sum(-1).mean(), len(batch)

    step = TrainingStep(module, loss, Optimization(0.01))
    optimizer = torch.optim.Adam(twin.parameters(), lr=0.01)
    for _ in range(20):
        step(x)
        optimizer.zero_grad()
        (twin(x) - target).square().sum(-1).mean().backward()
        optimizer.step()
    for a, b in zip(module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_batches_count_by_their_items():
    def mean(batch, training):
        return batch.mean(), len(batch)

    batches = [torch.zeros(1), torch.ones(99)]
    assert mean_loss(mean, batches) == pytest.approx(0.99)
    with pytest.raises(ValueError, match="at least one batch"):
        mean_loss(mean, [])


def test_validation_takes_no_gradient_and_is_told_so():
    module = Scalar(1.0)
    calls = []

    def loss(batch, training):
        calls.append((training, torch.is_grad_enabled()))
        return module.weight * batch, 1

    train(module, loss, lambda: ONE, lambda: ONE, max_iter=1)
    assert calls == [(True, True), (False, False)]


def test_an_impossible_batch_does_not_end_the_learning():
    module = Scalar()

    def loss(batch, training):
        return (module.weight - 1).square() * batch, 1

    batches = [torch.tensor(1e3)] * 5000
    batches[5] = torch.tensor(1e30)  # Adam alone would square this to infinity
    train(module, loss, lambda: batches, max_iter=1, optimization=Optimization(0.02))
    assert module.weight.item() == pytest.approx(1.0, abs=0.05)


def test_a_loss_that_is_no_number_is_an_error():
    module = Scalar()

    def loss(batch, training):
        return module.weight * math.nan, 1

    with pytest.raises(FloatingPointError, match="epoch 1 is nan: lower"):
        train(module, loss, lambda: ONE, max_iter=3)


def weights_at_steps(optimization, batches_of_epochs):
    """Weights before each step, the gradient always the same."""
    module = Scalar()
    weights = []

    def loss(batch, training):
        weights.append(module.weight.item())
        return -module.weight, 1

    epochs = iter(batches_of_epochs)
    train(
        module,
        loss,
        lambda: range(next(epochs)),
        max_iter=len(batches_of_epochs),
        optimization=optimization,
    )
    return [*weights, module.weight.item()]


def test_the_rate_rises_on_a_line_and_falls_on_a_line():
    optimization = Optimization(0.1, warm_up=4, decay=0.5)
    weights = weights_at_steps(optimization, [5, 5, 5, 5])
    # Adam's steps on a constant gradient are as long as the rate.
    rising = [0.025, 0.05, 0.075, 0.1]
    falling = [0.1 * (1 - k / 10) for k in range(10)]
    wanted = [*rising, *[0.1] * 6, *falling]
    assert np.diff(weights) == pytest.approx(wanted, abs=1e-5)


def test_epochs_of_other_lengths_than_expected_never_turn_the_rate_up():
    weights = weights_at_steps(Optimization(0.1, decay=1.0), [3, 2, 6, 1])
    # The first epoch has one rate; the third is taken to be as long as the second.
    parts = [0, 0, 0, 1, 1 + 1 / 3, 2, 2.5, 3, 3, 3, 3, 3]
    rates = 0.1 * (1 - np.array(parts) / 4)
    assert np.diff(weights) == pytest.approx(rates, abs=1e-5)
    last = weights_at_steps(Optimization(0.1, decay=1.0), [2, 4])[-3:]
    assert last[0] == last[1] == last[2]


def noisy_target(module, generator, seen):
    def loss(batch, training):
        if training:
            target = torch.randn((), generator=generator)
        else:
            target = torch.zeros(())
            seen.append(module.weight.item())
        return (module.weight - target).square(), 1

    return loss


def test_averaged_weights_are_validated_and_kept_and_training_does_not_notice():
    validated, kept, raw = {}, {}, {}
    for averaging in (0.0, 0.9):
        module, seen, before = Scalar(2.0), [], []
        loss = noisy_target(module, torch.Generator().manual_seed(0), seen)

        def recorded(batch, training, module=module, loss=loss, before=before):
            if training:
                before.append(module.weight.item())
            return loss(batch, training)

        shown = []
        history = train(
            module,
            recorded,
            lambda: range(7),
            lambda: range(1),
            max_iter=5,
            optimization=Optimization(0.1, averaging=averaging),
            on_epoch=lambda history, module=module, shown=shown: shown.append(
                module.weight.item()
            ),
        )
        assert shown == seen
        validated[averaging], raw[averaging] = seen, before
        kept[averaging] = module.weight.item()
        assert kept[averaging] == seen[history.best_epoch - 1]
    assert raw[0.9] == raw[0.0]
    # After each step; those after the last step of an epoch were validated without.
    after = np.array([*raw[0.0][1:], validated[0.0][-1]])
    for epoch, found in enumerate(validated[0.9], start=1):
        shares = 0.9 ** np.arange(7 * epoch)[::-1]
        wanted = (shares * after[: 7 * epoch]).sum() / shares.sum()
        assert found == pytest.approx(wanted, rel=1e-5)


def test_averaged_weights_are_kept_without_validation_too():
    weights = weights_at_steps(Optimization(0.1, averaging=0.5), [2])
    # Of 0.1 and 0.2 with the shares one third and two thirds.
    assert weights == pytest.approx([0.0, 0.1, 0.5 / 3], abs=1e-5)


def test_an_error_leaves_the_weights_that_are_trained():
    module = Scalar()

    def fail(history):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            module,
            moving(module),
            lambda: ONE * 4,
            max_iter=1,
            optimization=Optimization(0.1, averaging=0.5),
            on_epoch=fail,
        )
    assert module.weight.item() == pytest.approx(0.4, abs=1e-5)


@pytest.mark.parametrize("averaging", [0.0, 0.5])
def test_frozen_weights_stay(averaging):
    module = nn.Linear(2, 2)
    module.weight.requires_grad_(False)
    weight, bias = module.weight.clone(), module.bias.clone()

    def loss(batch, training):
        return module(batch).sum(), 1

    x = torch.ones(2)
    optimization = Optimization(0.1, averaging=averaging)
    train(module, loss, lambda: [x], max_iter=3, optimization=optimization)
    assert torch.equal(module.weight, weight)
    assert (module.bias < bias - 0.1).all()


def test_large_gradients_are_shortened_to_the_norm_that_is_asked_for():
    def second_step(norm):
        module = Scalar()

        def loss(batch, training):
            return -module.weight * batch, 1

        optimization = Optimization(0.1, max_gradient_norm=norm)
        step = TrainingStep(module, loss, optimization)
        step(torch.tensor(100.0))
        before = module.weight.item()
        step(torch.tensor(1.0))
        return module.weight.item() - before

    # Adam takes full steps where gradients are equal, shorter ones after large ones.
    assert second_step(1.0) == pytest.approx(0.1, abs=1e-4)
    assert second_step(1e5) < 0.08


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"learning_rate": 0}, r"`learning_rate` must be a number in \(0, inf\)"),
        ({"warm_up": 2.5}, "`warm_up` must be an integer"),
        ({"decay": 1.5}, r"`decay` must be a number in \[0, 1\], got 1.5"),
        ({"averaging": -0.1}, r"`averaging` must be a number in \[0, 1\)"),
        ({"averaging": 1}, r"`averaging` must be a number in \[0, 1\), got 1"),
        ({"max_gradient_norm": 0}, "`max_gradient_norm` must be a number"),
    ],
)
def test_impossible_options_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        Optimization(**parameters)


class Killed(BaseException):
    """As abrupt as an exception can be."""


ALL_OPTIONS = Optimization(0.01, warm_up=5, decay=0.5, averaging=0.8)


def example_training(path=None, *, validated=True, on_epoch=None, **options):
    """A training that draws from generators of both kinds; and what came of it."""
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    with torch.no_grad():
        for weight in module.parameters():
            weight.uniform_(-0.5, 0.5, generator=generator)
    module[0].bias.requires_grad_(False)
    module.register_buffer("n_batches", torch.zeros((), dtype=torch.int64))
    rng = np.random.default_rng(0)
    data = torch.randn(40, 4, generator=generator)

    def loss(batch, training):
        x = data[batch]
        if training:
            module.n_batches += 1
            x = x + torch.randn(x.shape, generator=generator)
        error = module[2](module[1](module[0](x))) - data[batch].prod(-1, True)
        return error.square().mean(), len(batch)

    def batches():
        # Epochs of different lengths.
        return torch.from_numpy(rng.permutation(30)).split(int(rng.integers(5, 10)))

    checkpoint = None
    if path is not None:
        generators = {"order": rng, "noise": generator}
        checkpoint = Checkpoint(path, "example", generators)
    with one_thread():
        history = train(
            module,
            loss,
            batches,
            (lambda: [torch.arange(30, 40)]) if validated else None,
            on_epoch=on_epoch,
            checkpoint=checkpoint,
            **{"max_iter": 8, "optimization": ALL_OPTIONS, **options},
        )
    return history, {name: w.clone() for name, w in module.state_dict().items()}


def assert_same(one, other):
    assert asdict(one[0]) == asdict(other[0])
    assert one[1].keys() == other[1].keys()
    for name, weight in one[1].items():
        assert torch.equal(weight, other[1][name])


OPTIONS = [
    {},
    {"validated": False},
    {"optimization": Optimization()},
    {"start_counts": True, "optimization": Optimization(1.0)},
    {"n_iter_no_change": 2, "max_iter": 200},
]


@pytest.mark.parametrize("options", OPTIONS, ids=map(str, OPTIONS))
def test_interrupted_training_ends_as_if_it_had_not_been(tmp_path, options):
    uninterrupted = example_training(**options)
    n_epochs = len(uninterrupted[0].loss)
    seen = []

    def interrupt(history):
        epoch = len(history.loss)
        if epoch not in seen:
            seen.append(epoch)
            raise Killed

    path = tmp_path / "training.npz"
    for _ in range(n_epochs):
        with pytest.raises(Killed):
            example_training(path, on_epoch=interrupt, **options)
    assert seen == [*range(1, n_epochs + 1)]
    assert_same(example_training(path, **options), uninterrupted)


def test_a_checkpoint_changes_nothing_and_finished_training_returns_at_once(tmp_path):
    path = tmp_path / "training.npz"
    finished = example_training(path)
    assert_same(finished, example_training())
    content = path.read_bytes()
    calls = []
    again = example_training(path, on_epoch=lambda history: calls.append(history))
    assert_same(again, finished)
    assert len(calls) == 1  # what it tells is told again
    assert path.read_bytes() == content


def test_what_a_callback_stopped_is_stopped_again_until_it_lets_go_on(tmp_path):
    def stop(history):
        return len(history.loss) >= 4

    path = tmp_path / "training.npz"
    stopped = example_training(path, on_epoch=stop)
    assert len(stopped[0].loss) == 4
    assert_same(example_training(path, on_epoch=stop), stopped)
    assert_same(example_training(path), example_training())


def test_training_may_go_on_longer_than_was_meant(tmp_path):
    path = tmp_path / "training.npz"
    optimization = Optimization(0.01, warm_up=20, averaging=0.8)
    example_training(path, max_iter=3, optimization=optimization)
    longer = example_training(path, max_iter=6, optimization=optimization)
    assert_same(longer, example_training(max_iter=6, optimization=optimization))


#: What a killed process is asked for, more epochs than it has time for.
N_KILLED = 3000
WITHOUT_END = Optimization(0.01, warm_up=50, averaging=0.8)


@pytest.mark.slow
def test_killed_training_ends_as_if_it_had_not_been(tmp_path):
    path = tmp_path / "training.npz"
    for n_lines in (1, 40):
        process = subprocess.Popen(
            [sys.executable, __file__, path], stdout=subprocess.PIPE, text=True
        )
        with process:
            for _ in range(n_lines):
                last = int(process.stdout.readline())
            process.kill()
    assert 40 <= last < N_KILLED
    resumed = []

    def note(history):
        resumed.append(len(history.loss))

    n_epochs = last + 50
    options = {"n_iter_no_change": n_epochs, "optimization": WITHOUT_END}
    found = example_training(path, max_iter=n_epochs, on_epoch=note, **options)
    assert last <= resumed[0] < N_KILLED
    n_epochs = len(found[0].loss)  # it may have been killed after that
    assert_same(found, example_training(max_iter=n_epochs, **options))


if __name__ == "__main__":
    example_training(
        sys.argv[1],
        max_iter=N_KILLED,
        n_iter_no_change=N_KILLED,
        optimization=WITHOUT_END,
        on_epoch=lambda history: print(len(history.loss), flush=True),
    )
