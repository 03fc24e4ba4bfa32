"""Checks of side effects: results depend on nothing but the input and the seed."""

from __future__ import annotations

import pickle
import random
import sys
from functools import partial
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skvae.evaluation.estimator_checks._tools import (
    analysis_of,
    clean_speech,
    enhance_in_blocks,
    equal_lengths,
    fit_clone,
    noisy_speech,
    require,
    require_equal,
    require_raises,
)


def check_company_changes_nothing(estimator: Any) -> None:
    """The result of an utterance is the same alone, in any batch and in any order."""
    enhancer, noisy = fit_clone(estimator), noisy_speech()
    together = enhancer.transform(noisy)
    alone = [enhancer.transform([x])[0] for x in noisy]
    require_equal(alone, together, "alone and together")
    require_equal(enhancer.transform(noisy[::-1])[::-1], together, "in another order")
    require_equal(enhancer.transform(noisy[1:]), together[1:], "without the first")
    require_equal(enhancer.transform(noisy), together, "for the second time")
    separated = [result.enhanced for result in enhancer.separate(noisy)]
    again = [enhancer.separate([x])[0].enhanced for x in noisy]
    require_equal(again, separated, "separated alone and together")


def check_jobs_change_nothing(estimator: Any, *, backend: str = "threading") -> None:
    """The results do not depend on the number of jobs."""
    enhancer, noisy = fit_clone(estimator), noisy_speech()
    one_job = enhancer.set_params(n_jobs=1).transform(noisy)
    score = enhancer.score(noisy, clean_speech())
    enhancer.set_params(n_jobs=2)
    with joblib.parallel_config(backend=backend):
        require_equal(enhancer.transform(noisy), one_job, f"two jobs of {backend}")
        require(
            enhancer.score(noisy, clean_speech()) == score,
            f"score differs with {backend}.",
        )


def check_fit_repeats(estimator: Any) -> None:
    """With one integer as `random_state`, fit and transform repeat bit for bit."""
    first, second = fit_clone(estimator), fit_clone(estimator)
    require(
        first.seed_ == second.seed_, f"seed_ is {first.seed_}, then {second.seed_}."
    )
    enhanced = first.transform(noisy_speech())
    require_equal(second.transform(noisy_speech()), enhanced, "fitted twice")
    require_equal(
        first.fit(clean_speech()).transform(noisy_speech()), enhanced, "fitted again"
    )


def check_global_generators_are_untouched(estimator: Any) -> None:
    """The global generators of NumPy, PyTorch and Python are not used."""

    def states() -> dict[str, Any]:
        numpy_state: Any = np.random.get_state()  # noqa: NPY002
        found = {
            "numpy.random": (numpy_state[1].tolist(), numpy_state[2:]),
            "random": random.getstate(),
        }
        # A method that never loads PyTorch cannot touch it.
        if "torch" in sys.modules:
            found["torch"] = sys.modules["torch"].get_rng_state().tolist()
        return found

    before = states()
    enhancer = fit_clone(estimator)
    enhancer.transform(noisy_speech())
    enhancer.separate(noisy_speech()[:1])
    enhancer.score(noisy_speech(), clean_speech())
    after = states()
    for name, state in before.items():
        require(state == after[name], f"the global generator of {name} was used.")


def check_inputs_are_untouched(estimator: Any) -> None:
    """Inputs are not written to, and may be read-only."""
    writable = [x.copy() for x in noisy_speech()]
    clean = [x.copy() for x in clean_speech()]
    rows = equal_lengths().copy()
    spectrograms = analysis_of(estimator).transform(writable)
    spectrograms = [s.replace(s.data.copy()) for s in spectrograms]
    before = joblib.hash((writable, clean, rows, [s.data for s in spectrograms]))
    enhancer = fit_clone(estimator, writable)
    enhancer.fit(writable, clean)
    enhancer.transform(writable)
    enhancer.separate(writable)
    enhancer.score(writable, clean)
    enhancer.transform(rows)
    enhancer.transform(spectrograms)
    enhance_in_blocks(enhancer, [writable[0]])
    after = joblib.hash((writable, clean, rows, [s.data for s in spectrograms]))
    require(before == after, "an input was written to.")
    for x in (*writable, rows):
        x.flags.writeable = False
    enhancer.fit(writable).transform(writable)
    enhancer.transform(rows)
    enhanced = enhancer.transform(writable)
    require(
        all(x.flags.writeable for x in enhanced),
        "the result of transform must be writable, and not a view of the input.",
    )


def check_transform_sets_nothing(estimator: Any) -> None:
    """Only `fit` sets attributes: `transform`, `separate` and `score` do not."""
    enhancer = fit_clone(estimator)

    def snapshot() -> dict[str, Any]:
        return {
            name: joblib.hash(value)
            if isinstance(value, np.ndarray | list | dict | int | float | tuple)
            else id(value)
            for name, value in vars(enhancer).items()
        }

    before = snapshot()
    enhancer.transform(noisy_speech())
    enhancer.transform(equal_lengths())
    enhancer.separate(noisy_speech())
    enhancer.score(noisy_speech(), clean_speech())
    enhance_in_blocks(enhancer, noisy_speech()[:1])
    after = snapshot()
    changed = sorted(
        name for name in {*before, *after} if before.get(name) != after.get(name)
    )
    require(not changed, f"transform, separate or score changed {changed}.")


def check_pickle_and_clone(estimator: Any) -> None:
    """A pickle gives the same results; a clone is unfitted and learns the same."""
    enhancer, noisy = fit_clone(estimator), noisy_speech()
    enhanced = enhancer.transform(noisy)
    copy = pickle.loads(pickle.dumps(enhancer))
    require_equal(copy.transform(noisy), enhanced, "after pickling")
    fresh = clone(enhancer)
    for call in (
        partial(fresh.transform, noisy),
        partial(fresh.separate, noisy),
        partial(fresh.score, noisy, clean_speech()),
        partial(enhance_in_blocks, fresh, noisy[:1]),
    ):
        require_raises(call, "an enhancer before fit", NotFittedError)
    require_equal(fit_clone(fresh).transform(noisy), enhanced, "after cloning")
