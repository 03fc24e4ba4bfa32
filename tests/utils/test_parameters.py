import math
from fractions import Fraction

import numpy as np
import pytest

from skvae.utils.parameters import check_option, check_real


@pytest.mark.parametrize(
    ("value", "rules"),
    [
        (0, {"low": 0}),
        (1.0, {"low": 0, "high": 1}),
        (np.float32(0.5), {"low": 0, "high": 1}),
        (np.int64(3), {"integer": True}),
        (Fraction(1, 2), {"low": 0}),
        (None, {"optional": True}),
        (-7.5, {}),
        (1e-300, {"low": 0, "open_low": True}),
    ],
)
def test_numbers_in_range_pass(value, rules):
    check_real("alpha", value, **rules)


@pytest.mark.parametrize(
    ("value", "rules", "wanted"),
    [
        (-1, {"low": 0}, "a number in [0, inf)"),
        (2, {"low": 0, "high": 1}, "a number in [0, 1]"),
        (0, {"low": 0, "open_low": True}, "a number in (0, inf)"),
        (1.0, {"integer": True, "low": 1}, "an integer in [1, inf)"),
        (True, {}, "a number in (-inf, inf)"),
        (np.True_, {}, "a number in (-inf, inf)"),
        ("1", {}, "a number in (-inf, inf)"),
        (None, {"low": 0}, "a number in [0, inf)"),
        ([1], {"optional": True}, "a number in (-inf, inf) or None"),
        (1j, {}, "a number in (-inf, inf)"),
        (math.nan, {"low": 0}, "a number in [0, inf)"),
        (math.inf, {"low": 0}, "a number in [0, inf)"),
        (-math.inf, {"high": 0}, "a number in (-inf, 0]"),
        (np.ones(1), {}, "a number in (-inf, inf)"),
    ],
)
def test_anything_else_is_an_error_that_says_what_was_wanted_and_came(
    value, rules, wanted
):
    with pytest.raises(ValueError) as error:
        check_real("alpha", value, **rules)
    assert str(error.value) == f"`alpha` must be {wanted}, got {value!r}."


def test_options_are_compared_with_their_types():
    check_option("mask", "soft", ["binary", "soft"])
    check_option("mask", None, ["binary", None])
    for wrong in ("Soft", 1, None, np.ones(2), ["soft"]):
        with pytest.raises(ValueError, match="`mask` must be one of 'binary', 'soft'"):
            check_option("mask", wrong, ["binary", "soft"])
    with pytest.raises(ValueError, match="`n` must be one of 1, 2, got True"):
        check_option("n", True, [1, 2])


def test_options_may_be_any_iterable():
    check_option("mask", "b", {"a": 1, "b": 2})
    check_option("mask", "b", (name for name in "abc"))
