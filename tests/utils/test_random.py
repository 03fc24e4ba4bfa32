import random

import numpy as np
import pytest

from skvae.utils.random import SEED_LIMIT, check_generator, draw_seed


@pytest.mark.parametrize("seed", [0, 7, np.int64(7), 2**40])
def test_integers_are_seeds(seed):
    first, second = check_generator(seed), check_generator(seed)
    assert first is not second
    assert first.random() == second.random() == np.random.default_rng(seed).random()


def test_none_differs_each_time():
    assert check_generator(None).random() != check_generator().random()


def test_a_generator_is_used_as_it_is():
    rng = np.random.default_rng(0)
    assert check_generator(rng) is rng


def test_a_legacy_random_state_gives_a_seed_and_moves_on():
    legacy = np.random.RandomState(0)
    values = [check_generator(legacy).random() for _ in range(2)]
    assert values[0] != values[1]
    assert check_generator(np.random.RandomState(0)).random() == values[0]


@pytest.mark.parametrize("wrong", [-1, 1.5, "seed", True, np.random, [1]])
def test_anything_else_is_an_error_that_says_what_came(wrong):
    with pytest.raises(ValueError, match="`random_state` must be None, an integer of"):
        check_generator(wrong)


def test_drawn_seeds_repeat_and_are_in_range():
    assert draw_seed(3) == draw_seed(3) != draw_seed(4)
    rng = np.random.default_rng(0)
    seeds = [draw_seed(rng) for _ in range(100)]
    assert len(set(seeds)) == 100
    assert all(isinstance(seed, int) and 0 <= seed < SEED_LIMIT for seed in seeds)


def test_the_global_generators_are_never_touched():
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    python_state = random.getstate()
    for source in (None, 0, np.random.default_rng(0), np.random.RandomState(0)):
        draw_seed(source)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert random.getstate() == python_state
