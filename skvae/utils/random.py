"""Random numbers from explicit generators; global generators are never used."""

from __future__ import annotations

from numbers import Integral

import numpy as np

#: Types that :func:`check_generator` accepts.
RandomState = int | np.integer | np.random.Generator | np.random.RandomState | None

#: Upper limit of seeds (exclusive) that NumPy, scikit-learn and PyTorch all accept.
SEED_LIMIT = 2**31


def check_generator(random_state: RandomState = None) -> np.random.Generator:
    """Convert `random_state` to a NumPy generator.

    Parameters
    ----------
    random_state : int, Generator, RandomState or None
        Seed; generator, which is used as it is and advances; or legacy ``RandomState``,
        from which a seed is drawn. None means a new, unpredictable seed.

    Returns
    -------
    numpy.random.Generator
        The generator.

    Raises
    ------
    ValueError
        If `random_state` has another type or is a negative seed.

    Examples
    --------
    >>> int(check_generator(0).integers(100))
    85
    >>> rng = check_generator(0)
    >>> check_generator(rng) is rng
    True
    """
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(SEED_LIMIT, dtype=np.int64))
    is_seed = isinstance(random_state, Integral) and not isinstance(random_state, bool)
    if not is_seed or random_state < 0:
        raise ValueError(
            "`random_state` must be None, an integer of at least 0, a "
            "numpy.random.Generator or a numpy.random.RandomState, got "
            f"{random_state!r}."
        )
    return np.random.default_rng(int(random_state))


def draw_seed(random_state: RandomState = None) -> int:
    """Draw one integer seed from `random_state`.

    Parameters
    ----------
    random_state : int, Generator, RandomState or None
        Seed or generator, as for :func:`check_generator`.

    Returns
    -------
    int
        Seed in ``[0, 2**31)``.

    Examples
    --------
    >>> draw_seed(0) == draw_seed(0)
    True
    """
    return int(check_generator(random_state).integers(SEED_LIMIT))
