"""Networks in fewer bits, their losses and weights in all of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from skvae.training import precision as precision_module
from skvae.training.loop import Optimization, train
from skvae.training.precision import autocast, knows_bfloat16
from skvae.utils.threads import one_thread


def test_float32_changes_nothing():
    layer, x = nn.Linear(7, 5), torch.randn(3, 7)
    with autocast("cpu", "float32"):
        y = layer(x)
    assert torch.equal(y, layer(x))


def test_other_precisions_are_refused():
    with pytest.raises(ValueError, match="`precision` must be one of 'float32', 'bf"):
        autocast("cpu", "float16")


def test_a_processor_without_bfloat16_computes_in_float32(monkeypatch):
    monkeypatch.setattr(precision_module, "knows_bfloat16", lambda device: False)
    lstm, x = nn.LSTM(4, 8, batch_first=True, bidirectional=True), torch.randn(2, 5, 4)
    with autocast("cpu", "bfloat16"):
        y = lstm(x)[0]
    assert y.dtype == torch.float32
    assert torch.equal(y, lstm(x)[0])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_recurrent_network_learns_in_it_and_its_weights_stay_float32(precision):
    generator = torch.Generator().manual_seed(0)
    lstm = nn.LSTM(4, 8, batch_first=True, bidirectional=True)
    last = nn.Linear(16, 1)
    module = nn.ModuleList([lstm, last])
    with torch.no_grad():
        for weight in module.parameters():
            weight.uniform_(-0.3, 0.3, generator=generator)
    x = torch.randn(8, 10, 4, generator=generator)
    target = x.cumsum(1)[..., :1].tanh()
    dtypes = []

    def loss(batch, training):
        with autocast("cpu", precision):
            y = last(lstm(batch)[0])
        dtypes.append(y.dtype)
        return (y.float() - target).square().mean(), len(batch)

    optimization = Optimization(0.03, averaging=0.9, max_gradient_norm=5.0)
    with one_thread():
        history = train(
            module,
            loss,
            lambda: [x],
            lambda: [x],
            max_iter=30,
            optimization=optimization,
        )
    wanted = precision if knows_bfloat16("cpu") else "float32"
    assert set(dtypes) == {getattr(torch, wanted)}
    assert {weight.dtype for weight in module.parameters()} == {torch.float32}
    assert history.best_loss < 0.3 * history.loss[0]
