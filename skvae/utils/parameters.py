"""Checks of constructor parameters: each says what was wanted and what came."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any


def check_real(
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    integer: bool = False,
    optional: bool = False,
) -> None:
    """Raise a ValueError unless a parameter is a finite number in its range.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        What was passed.
    low, high : float
        Bounds, both allowed.
    open_low : bool
        Whether `low` itself is not allowed.
    integer : bool
        Whether it must be an integer.
    optional : bool
        Whether None is allowed.

    Examples
    --------
    >>> check_real("beta", 2, low=0, high=1)
    Traceback (most recent call last):
        ...
    ValueError: `beta` must be a number in [0, 1], got 2.
    """
    if value is None and optional:
        return
    kind = numbers.Integral if integer else numbers.Real
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if (
        is_number
        and math.isfinite(value)
        and low <= value <= high
        and not (open_low and value == low)
    ):
        return
    left = "(" if open_low or low == -math.inf else "["
    right = ")" if high == math.inf else "]"
    wanted = f"{'an integer' if integer else 'a number'} in {left}{low}, {high}{right}"
    if optional:
        wanted += " or None"
    raise ValueError(f"`{name}` must be {wanted}, got {value!r}.")


def check_option(name: str, value: Any, options: Iterable[Any]) -> None:
    """Raise a ValueError unless a parameter is one of some options.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        What was passed.
    options : iterable
        What may be passed.

    Examples
    --------
    >>> check_option("mask", "hard", ["binary", "soft"])
    Traceback (most recent call last):
        ...
    ValueError: `mask` must be one of 'binary', 'soft', got 'hard'.
    """
    options = list(options)
    if not any(type(value) is type(option) and value == option for option in options):
        listed = ", ".join(map(repr, options))
        raise ValueError(f"`{name}` must be one of {listed}, got {value!r}.")
