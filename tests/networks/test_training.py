"""The training loop, on problems whose answers are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from skvae.networks.training import evaluate, train, training_step


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
        learning_rate=0.1,  # Adam's steps on a constant gradient: 0.1, 0.2, 0.3, ...
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
            learning_rate=0.1,
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
        learning_rate=0.1,
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

    step = training_step(module, loss, 0.01)
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
    assert evaluate(mean, batches) == pytest.approx(0.99)
    with pytest.raises(ValueError, match="at least one batch"):
        evaluate(mean, [])


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
    train(module, loss, lambda: batches, max_iter=1, learning_rate=0.02)
    assert module.weight.item() == pytest.approx(1.0, abs=0.05)


def test_a_loss_that_is_no_number_is_an_error():
    module = Scalar()

    def loss(batch, training):
        return module.weight * math.nan, 1

    with pytest.raises(FloatingPointError, match="epoch 1 is nan: lower"):
        train(module, loss, lambda: ONE, max_iter=3)
