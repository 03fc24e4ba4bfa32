"""The limit of one thread holds in every thread of Python, until its context ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from skvae.utils.threads import one_thread


def numbers():
    """Threads of PyTorch, and of every library, as this thread of Python sees them."""
    libraries = {one["filepath"]: one["num_threads"] for one in threadpool_info()}
    return {"torch": torch.get_num_threads(), **libraries}


@pytest.fixture(autouse=True)
def several():
    """Three threads everywhere, however many cores there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    with threadpool_limits(3):
        yield
    torch.set_num_threads(before)


def test_the_limit_holds_inside_and_ends_with_the_context():
    before = numbers()
    assert set(before.values()) == {3}
    with one_thread():
        assert set(numbers().values()) == {1}
        with one_thread():
            assert set(numbers().values()) == {1}
        assert set(numbers().values()) == {1}
    assert numbers() == before


def test_an_error_ends_the_limit():
    before = numbers()
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert numbers() == before


def test_every_thread_of_a_pool_has_the_limit():
    all_inside, all_seen = (
        threading.Barrier(8, timeout=600),
        threading.Barrier(8, timeout=600),
    )

    def look(_):
        with one_thread():
            all_inside.wait()
            inside = numbers()
            all_seen.wait()
        return inside, torch.get_num_threads()

    with ThreadPoolExecutor(8) as pool:
        inside, after = zip(*pool.map(look, range(8)), strict=True)
    for found in inside:
        assert set(found.values()) == {1}
    # PyTorch gives a new thread the number that any thread has set last.
    assert set(after) == {3}
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 3
    assert set(numbers().values()) == {3}


def test_threads_may_leave_in_any_order():
    first_is_inside, second_is_inside = threading.Event(), threading.Event()
    first_has_left = threading.Event()

    def first():
        with one_thread():
            first_is_inside.set()
            assert second_is_inside.wait(600)
        found = torch.get_num_threads()
        first_has_left.set()
        return found

    def second():
        assert first_is_inside.wait(600)
        torch.set_num_threads(2)  # this thread's own
        with one_thread():
            second_is_inside.set()
            assert first_has_left.wait(600)
            inside = numbers()
        return inside, numbers()

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(first), pool.submit(second)
        assert one.result() == 3
        inside, after = other.result()
    assert set(inside.values()) == {1}
    blas = {one["filepath"] for one in threadpool_info() if one["user_api"] == "blas"}
    assert {after[path] for path in blas} == {3}


def test_libraries_that_are_loaded_later_are_found():
    script = """
import sys
from skvae.utils.threads import one_thread
with one_thread():
    pass
assert "torch" not in sys.modules and "numpy" not in sys.modules
import numpy, torch
from threadpoolctl import threadpool_info
torch.set_num_threads(2)
with one_thread():
    assert torch.get_num_threads() == 1
    assert {one["num_threads"] for one in threadpool_info()} == {1}
assert torch.get_num_threads() == 2
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_product_of_a_thread_is_that_of_another_to_the_bit():
    rng = np.random.default_rng(0)
    A, B = (rng.standard_normal(shape) for shape in ((300, 700), (700, 300)))
    tensors = [torch.from_numpy(x).float() for x in (A, B)]

    def multiply(_):
        with one_thread():
            return A @ B, (tensors[0] @ tensors[1]).numpy()

    with threadpool_limits(1):
        torch.set_num_threads(1)
        wanted = multiply(0)
        torch.set_num_threads(3)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(multiply, range(16)):
            np.testing.assert_array_equal(found[0], wanted[0])
            np.testing.assert_array_equal(found[1], wanted[1])
