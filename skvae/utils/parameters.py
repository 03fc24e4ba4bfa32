"""Constructor parameters: their ranges, declared once, and parts given by name.

A class declares its ranges as a class attribute; those of its bases apply too::

    class Gate(BaseEnhancer):
        _parameter_ranges = {
            "threshold": Number(low=0),
            "mode": Option("soft", "hard"),
        }

``fit`` and ``transform`` call :func:`check_ranges`, since ``set_params`` may have
changed a fitted estimator. What depends on several parameters at once stays in the
class's ``_check_parameters``.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from skvae.utils.words import did_you_mean

#: Upper limits of counts. They are far above all use, and far below what would compute
#: for years or needs more memory than any machine has. A model file, which may come
#: from anybody, holds such parameters, too.
MAX_ITERATIONS = 100_000
MAX_DRAWS = 10_000
MAX_UNITS = 2**16
MAX_FRAMES = 10**9

#: Upper limit of weights, step sizes and variances: its square is far from the largest
#: number in single precision.
MAX_WEIGHT = 1e6


def check_real(
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
    integer: bool = False,
    optional: bool = False,
) -> None:
    """Raise a ValueError unless a parameter is a finite number in its range.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        Value of the parameter.
    low, high : float
        Limits, both included.
    open_low, open_high : bool
        Whether the limit itself is excluded.
    integer : bool
        Whether the value must be an integer.
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
        and not (open_high and value == high)
    ):
        return
    left = "(" if open_low or low == -math.inf else "["
    right = ")" if open_high or high == math.inf else "]"
    wanted = f"{'an integer' if integer else 'a number'} in {left}{low}, {high}{right}"
    if optional:
        wanted += " or None"
    raise ValueError(f"`{name}` must be {wanted}, got {value!r}.")


def check_option(name: str, value: Any, options: Iterable[Any]) -> None:
    """Raise a ValueError unless a parameter has one of the allowed values.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        Value of the parameter.
    options : iterable
        Allowed values.

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


class Range(Protocol):
    """Values that a parameter may take."""

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError unless the parameter `name` may have this value."""


@dataclass(frozen=True)
class Number:
    """Finite numbers in an interval.

    Parameters
    ----------
    low, high : float, default=-inf and inf
        Limits of the interval, which includes them.
    open_low, open_high : bool, default=False
        Whether the interval excludes the limit.
    integer : bool, default=False
        Whether the number must be an integer.
    optional : bool, default=False
        Whether None is allowed.

    Examples
    --------
    >>> Number(low=1, integer=True).check("max_iter", 0)
    Traceback (most recent call last):
        ...
    ValueError: `max_iter` must be an integer in [1, inf), got 0.
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    integer: bool = False
    optional: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError unless the value is a number in the interval."""
        check_real(
            name,
            value,
            low=self.low,
            high=self.high,
            open_low=self.open_low,
            open_high=self.open_high,
            integer=self.integer,
            optional=self.optional,
        )


class Option:
    """Set of allowed values.

    Parameters
    ----------
    *values : object
        The allowed values. Their types must match, too.

    Examples
    --------
    >>> Option("mh", "s", "z").check("reconstruction", "x")
    Traceback (most recent call last):
        ...
    ValueError: `reconstruction` must be one of 'mh', 's', 'z', got 'x'.
    """

    def __init__(self, *values: Any):
        self.values = values

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError unless the value is one of them."""
        check_option(name, value, self.values)


def check_ranges(estimator: Any) -> None:
    """Raise a ValueError if a parameter is outside its declared range.

    Parameters
    ----------
    estimator : estimator
        Object whose class or bases may have ``_parameter_ranges``. The range of a
        subclass replaces that of its base; None removes it.

    Examples
    --------
    >>> class Gate:
    ...     _parameter_ranges = {"threshold": Number(low=0)}
    ...     threshold = -1.0
    >>> check_ranges(Gate())
    Traceback (most recent call last):
        ...
    ValueError: `threshold` must be a number in [0, inf), got -1.0.
    """
    ranges: dict[str, Range | None] = {}
    for cls in reversed(type(estimator).__mro__):
        ranges.update(vars(cls).get("_parameter_ranges", {}))
    for name, allowed in ranges.items():
        if allowed is not None:
            allowed.check(name, getattr(estimator, name))


def check_known(estimator: Any, params: Mapping[str, Any]) -> None:
    """Raise a ValueError for a parameter that an estimator does not have.

    Parameters
    ----------
    estimator : estimator
        Object with ``get_params``.
    params : mapping of str to object
        Parameters as for ``set_params``.

    Examples
    --------
    >>> from skvae import VEM
    >>> check_known(VEM(), {"max_itr": 5})
    Traceback (most recent call last):
        ...
    ValueError: Invalid parameter 'max_itr' for estimator VEM: did you mean 'max_iter'?
    """
    for key in params:
        part, path = estimator, ""
        for name in key.split("__"):
            if not hasattr(part, "get_params"):
                break  # scikit-learn says so
            known = part.get_params(deep=False)
            if name not in known:
                hint = did_you_mean(key, estimator.get_params())
                hint = hint or "`get_params` lists its parameters."
                raise ValueError(
                    f"Invalid parameter {key!r} for estimator "
                    f"{type(estimator).__name__}: {hint}"
                )
            path = f"{path}__{name}" if path else name
            part = params.get(path, known[name])


class NamedParts:
    """Mixin for estimators with parts that are given by name or None.

    ``set_params(inference__max_iter=5)`` works on ``VAENMFEnhancer(inference="vem")``:
    an object replaces the name. A grid search does the same.
    """

    def _make_part(self, name: str, value: Any) -> Any:
        """Create the estimator that a name or None stands for.

        Parameters
        ----------
        name : str
            Name of the parameter that holds the part.
        value : object
            Value of the parameter.

        Returns
        -------
        object
            New estimator if `value` is a name or None, else `value`.
        """
        return value

    def set_params(self, **params: Any) -> Any:
        """Set parameters, including those of parts that are given by name.

        Parameters
        ----------
        **params : dict
            Parameters of this estimator, and of its parts as ``part__parameter``.

        Returns
        -------
        estimator
            The estimator itself.
        """
        for key in list(params):
            name, _, nested = key.partition("__")
            if not nested:
                continue
            value = params.get(name, getattr(self, name, None))
            part = self._make_part(name, value)
            if part is not value:
                params[name] = part
        check_known(self, params)
        return super().set_params(**params)  # type: ignore[misc]
