"""One model serves several threads, and each gets what it gets alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from skvae import load_pretrained
from skvae.datasets import make_dataset

NOISY, _ = make_dataset(8, (0.2, 0.4), 0.0, random_state=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["best", "vae-nmf"])
def test_eight_threads_share_a_model(name):
    model = load_pretrained(name)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with threadpool_limits(1):
            wanted = [model.transform([x])[0] for x in NOISY]
        torch.set_num_threads(3)
        with threadpool_limits(3), ThreadPoolExecutor(8) as pool:
            found = [*pool.map(lambda x: model.transform([x])[0], NOISY)]
    finally:
        torch.set_num_threads(before)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
