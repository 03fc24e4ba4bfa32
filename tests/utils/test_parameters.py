import math
from fractions import Fraction

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import ParameterGrid

from skvae.utils.parameters import (
    NamedParts,
    Number,
    Option,
    check_option,
    check_ranges,
    check_real,
)


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
        (1, {"low": 0, "high": 1, "open_high": True}, "a number in [0, 1)"),
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


class Base:
    _parameter_ranges = {"n": Number(low=1, integer=True), "mode": Option("a", "b")}

    def __init__(self, n=1, mode="a", extra=0.0):
        self.n, self.mode, self.extra = n, mode, extra


class Stricter(Base):
    _parameter_ranges = {"n": Number(low=5, integer=True), "extra": Number(high=1)}


class Looser(Base):
    _parameter_ranges = {"n": None}


def test_declared_ranges_are_checked():
    check_ranges(Base())
    with pytest.raises(ValueError, match=r"`n` must be an integer in \[1, inf\)"):
        check_ranges(Base(0))
    with pytest.raises(ValueError, match="`mode` must be one of 'a', 'b', got 'c'"):
        check_ranges(Base(mode="c"))


def test_a_subclass_adds_replaces_and_lifts_ranges():
    with pytest.raises(ValueError, match=r"`n` must be an integer in \[5"):
        check_ranges(Stricter())
    with pytest.raises(ValueError, match="`mode`"):
        check_ranges(Stricter(5, "c"))
    with pytest.raises(ValueError, match="`extra`"):
        check_ranges(Stricter(5, extra=2))
    check_ranges(Looser(0))


class Part(BaseEstimator):
    def __init__(self, kind="default", size=1):
        self.kind, self.size = kind, size


class Owner(NamedParts, BaseEstimator):
    def __init__(self, part=None, other=0):
        self.part, self.other = part, other

    def _make_part(self, name, value):
        if name != "part" or isinstance(value, Part):
            return value
        return Part() if value is None else Part(value)


@pytest.mark.parametrize("part", [None, "named", Part("named")])
def test_parameters_of_a_part_can_be_set_though_it_is_a_name(part):
    owner = clone(Owner(part)).set_params(part__size=7, other=2)
    kind = "default" if part is None else "named"
    assert (owner.part.kind, owner.part.size, owner.other) == (kind, 7, 2)


def test_a_part_and_its_parameters_can_be_set_together():
    for params in ParameterGrid({"part": [None, "x", Part("y")], "part__size": [3]}):
        owner = clone(Owner()).set_params(**clone(params, safe=False))
        assert owner.part.size == 3
        assert owner.part.kind in ("default", "x", "y")


def test_setting_other_parameters_leaves_a_name_as_it_is():
    assert Owner("named").set_params(other=3).part == "named"


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"othr": 1}, "Invalid parameter 'othr' for estimator Owner: did .* 'other'"),
        ({"part__sise": 1}, "'part__sise' for estimator Owner: did .* 'part__size'"),
        ({"size": 1}, "did you mean 'part__size'"),
        ({"part": "x", "part__sise": 1}, "'part__sise' for estimator Owner"),
        ({"zzz": 1}, "'zzz' for estimator Owner: `get_params` lists"),
    ],
)
def test_a_misspelled_parameter_gets_the_nearest_names(params, wanted):
    owner = Owner(Part())
    with pytest.raises(ValueError, match=wanted):
        owner.set_params(**params)
    assert owner.other == 0 and owner.part.size == 1
