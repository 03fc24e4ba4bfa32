"""What ``fit`` leaves in an estimator: declared once, checked when a file is read.

A class declares its learned attributes as a class attribute; those of its bases come
first::

    class Gate(BaseEnhancer):
        _learned = {
            "threshold_": Scalar(low=0),
            "noise_": Array("n_bins", low=0, optional=True),
        }

A model file may come from anybody. So :mod:`skvae.storage` passes each value that it
reads to the declaration, which returns what the estimator receives or raises a
ValueError. Attributes are restored in the order of their declaration, so that a
declaration may ask the estimator for its parameters and for the attributes before it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from skvae.utils.parameters import Number
from skvae.utils.words import shortened

#: Size of a dimension: a number, the name of a parameter, "n_bins" for the frequencies
#: of `stft_`, "any", or a function of the estimator.
Size = int | str | Callable[[Any], int]


class Learned(Protocol):
    """Values that a learned attribute may have."""

    def restore(self, name: str, value: Any, estimator: Any) -> Any:
        """Return the attribute, or raise a ValueError that names it.

        Parameters
        ----------
        name : str
            Name of the attribute.
        value : object
            What a file holds of it.
        estimator : estimator
            Its owner, which has its parameters and the attributes declared before.
        """


def learned_attributes(cls: type) -> dict[str, Learned]:
    """Collect what ``fit`` leaves in the instances of a class.

    Parameters
    ----------
    cls : type
        It, or a base of it, may have ``_learned``. A declaration in a subclass replaces
        that of its base; None removes it.

    Returns
    -------
    dict of str to Learned
        In the order in which attributes are restored.

    Examples
    --------
    >>> class Base:
    ...     _learned = {"seed_": Scalar(low=0, integer=True)}
    >>> class Gate(Base):
    ...     _learned = {"threshold_": Scalar()}
    >>> list(learned_attributes(Gate))
    ['seed_', 'threshold_']
    """
    declared: dict[str, Learned | None] = {}
    for base in reversed(cls.__mro__):
        declared.update(vars(base).get("_learned", {}))
    return {name: kind for name, kind in declared.items() if kind is not None}


@dataclasses.dataclass(frozen=True)
class Scalar(Number):
    """A number; see :class:`~skvae.utils.parameters.Number` for its range.

    Examples
    --------
    >>> Scalar(low=0).restore("level_", 2, None)
    2.0
    """

    def restore(self, name: str, value: Any, estimator: Any) -> int | float | None:
        """Return the number, or raise a ValueError."""
        self.check(name, value)
        if value is None:
            return None
        return int(value) if self.integer else float(value)


class Scalars:
    """A list of finite numbers.

    Examples
    --------
    >>> Scalars().restore("loss_curve_", [3, 2.5], None)
    [3.0, 2.5]
    """

    def restore(self, name: str, value: Any, estimator: Any) -> list[float]:
        """Return the list, or raise a ValueError."""
        if not isinstance(value, list):
            raise ValueError(
                f"`{name}` must be a list of numbers, got {shortened(value)}."
            )
        for k, item in enumerate(value):
            Number().check(f"{name}[{k}]", item)
        return [float(item) for item in value]


#: Upper limit of numbers in arrays: a power that recordings with peaks of up to 1e12,
#: the loudest that are accepted, do not reach.
MAX_POWER = 1e36


class Array:
    """An array of finite floating-point numbers.

    Parameters
    ----------
    *sizes : int, str or callable
        Size of each dimension: a number; the name of a parameter; "n_bins", the number
        of frequencies of `stft_`; "any", at least one; or a function of the estimator.
    low, high : float
        Least and greatest value.
    optional : bool
        Whether None may take its place.

    Examples
    --------
    >>> class Gate:
    ...     n_components = 2
    >>> Array("n_components", "any", low=0).restore("W_", np.ones((3, 5)), Gate())
    Traceback (most recent call last):
        ...
    ValueError: `W_` must be an array of shape (2, 'any'), got (3, 5).
    """

    def __init__(
        self,
        *sizes: Size,
        low: float = -math.inf,
        high: float = MAX_POWER,
        optional: bool = False,
    ):
        self.sizes = sizes
        self.low = low
        self.high = high
        self.optional = optional

    def restore(self, name: str, value: Any, estimator: Any) -> np.ndarray | None:
        """Return the array, or raise a ValueError."""
        if value is None and self.optional:
            return None
        shape = tuple(_size_of(size, estimator) for size in self.sizes)
        if not isinstance(value, np.ndarray) or not _has_shape(value, shape):
            got = getattr(value, "shape", None) or shortened(value)
            raise ValueError(f"`{name}` must be an array of shape {shape}, got {got}.")
        if value.min() < self.low:
            least = "negative numbers" if self.low == 0 else f"number below {self.low}"
            raise ValueError(f"`{name}` must have no {least}.")
        if value.max() > self.high:
            raise ValueError(f"`{name}` must have no number above {self.high:g}.")
        return value


def _size_of(size: Size, estimator: Any) -> int | str:
    if callable(size):
        return size(estimator)
    if size == "n_bins":
        return n_bins(estimator)
    if isinstance(size, int) or size == "any":
        return size
    found: int = getattr(estimator, size)
    return found


def _has_shape(array: np.ndarray, shape: tuple[int | str, ...]) -> bool:
    return (
        array.size > 0
        and array.ndim == len(shape)
        and all(
            wanted in ("any", size)
            for wanted, size in zip(shape, array.shape, strict=True)
        )
    )


class Instance:
    """An estimator of a class, such as the STFT in use.

    Parameters
    ----------
    cls : type
        The class.

    Examples
    --------
    >>> from skvae import STFT
    >>> Instance(STFT).restore("stft_", None, None)
    Traceback (most recent call last):
        ...
    ValueError: `stft_` must be an STFT, got None.
    """

    def __init__(self, cls: type):
        self.cls = cls

    def restore(self, name: str, value: Any, estimator: Any) -> Any:
        """Return the estimator, or raise a ValueError."""
        if not isinstance(value, self.cls):
            raise ValueError(
                f"`{name}` must be an {self.cls.__name__}, got {shortened(value)}."
            )
        return value


class Part:
    """A fitted estimator inside another one, with the same STFT.

    Parameters
    ----------
    method : str
        A method that it must have.
    optional : bool
        Whether None may take its place.

    Examples
    --------
    >>> Part("separate").restore("guide_", 3, None)
    Traceback (most recent call last):
        ...
    ValueError: `guide_` must be a fitted estimator with the method separate, got 3.
    """

    def __init__(self, method: str, *, optional: bool = False):
        self.method = method
        self.optional = optional

    def restore(self, name: str, value: Any, estimator: Any) -> Any:
        """Return the part, or raise a ValueError."""
        if value is None and self.optional:
            return None
        if not hasattr(value, self.method) or not hasattr(value, "stft_"):
            raise ValueError(
                f"`{name}` must be a fitted estimator with the method {self.method}, "
                f"got {shortened(value)}."
            )
        ours, theirs = estimator.stft_, value.stft_
        same = ours.framing() == theirs.framing()
        if not same or ours.sample_rate != theirs.sample_rate:
            raise ValueError(
                f"`{name}` was fitted with {theirs}, but `stft_` is {ours}."
            )
        return value


def n_bins(estimator: Any) -> int:
    """Return the number of frequencies of a fitted estimator's `stft_`.

    Parameters
    ----------
    estimator : estimator
        It has `stft_`.

    Returns
    -------
    int

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import LogMMSE
    >>> n_bins(LogMMSE().fit([np.zeros(1)]))
    513
    """
    return int(estimator.stft_.framing().n_bins)


def config_fields(config: Any) -> dict[str, Any]:
    """Return the fields of a network's configuration that its weights depend on.

    Parameters
    ----------
    config : dataclass
        Sizes of a network. A field with ``compare=False`` is left out.

    Returns
    -------
    dict of str to object
        As JSON has them: tuples become lists, and configurations dictionaries.

    Examples
    --------
    >>> from skvae.utils.parameters import Option, Number
    >>> config_fields(Number(low=1.0))["low"]
    1.0
    """
    return {
        field.name: _plain(getattr(config, field.name))
        for field in dataclasses.fields(config)
        if field.compare
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return config_fields(value)
    return list(value) if isinstance(value, tuple) else value
