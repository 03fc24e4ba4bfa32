"""Fitted estimators as JSON and arrays, and back: nothing that is read is run.

An estimator is its class, the parameters of its constructor and what `fit` has left.
In JSON None, numbers, strings and lists stand for themselves; the rest are objects:

    {"class": name, "parameters": {...}, "attributes": {...}}   an estimator
    {"frozen": estimator}             scikit-learn's FrozenEstimator
    {"fitted": name}                  as a parameter: the attribute of that name
    {"tuple": [...]}                  a tuple
    {"array": name}                   an array, kept elsewhere under that name
    {"weights": {name: array, ...}}   a dict of arrays: the weights of a network
    {"config": {...}}                 the sizes of a network

Some parameters are not kept. Those that hold recordings or name files (`mixer`,
`noise_profile`, `checkpoint`) and those that say where and how to compute (`device`,
`n_jobs`, `verbose`) belong to the person who fits or enhances: a rebuilt estimator has
their defaults. A generator as `random_state` becomes None, since `seed_` is what was
drawn from it. An estimator as a parameter is kept unfitted, unless it is frozen and in
use: then it is also an attribute of its owner.

A rebuilt estimator is of a class of skvae, or of one that the caller names. Each
parameter is one of its constructor and in its range. Each attribute is one that the
class declares (:mod:`skvae.utils.learned`) and passes the check of its declaration.
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skvae.signal.stft import STFT
from skvae.storage.classes import Classes, class_name, extends_skvae
from skvae.utils.learned import Learned, Scalar, config_fields, learned_attributes
from skvae.utils.parameters import check_ranges, check_real
from skvae.utils.words import shortened

#: Parameters that are not part of a model: data, files and computation.
NOT_KEPT = frozenset(
    {"mixer", "noise_profile", "checkpoint", "device", "n_jobs", "verbose"}
)

#: Largest `n_fft` that is built to check a file with: 5 s at 48 kHz.
_MAX_N_FFT = 2**18

#: Attributes that callbacks and data frames leave, which enhancement does not need.
_OF_SCIKIT_LEARN = {"_skl_callbacks", "feature_names_in_"}

#: Set by every `fit`, but only for a 2-D array.
_N_FEATURES: dict[str, Learned] = {"n_features_in_": Scalar(low=1, integer=True)}


def describe(
    estimator: BaseEstimator, *, dtype: str = "float32"
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Take a fitted estimator apart.

    Parameters
    ----------
    estimator : estimator
        Fitted; of skvae, or of a class derived from one of skvae.
    dtype : {"float32", "float16"}, default="float32"
        Data type of the weights of networks.

    Returns
    -------
    description : dict
        Description that JSON can hold.
    arrays : dict of str to ndarray
        Arrays that the description names.

    Raises
    ------
    ValueError
        If it has something that cannot be kept.

    Examples
    --------
    >>> from skvae import WienerFilter
    >>> description, arrays = describe(WienerFilter().fit([np.zeros(1)]))
    >>> description["class"], description["parameters"]["smoothing"], arrays
    ('WienerFilter', 0.98, {})
    """
    if not extends_skvae(type(estimator)) or not hasattr(estimator, "fit"):
        raise ValueError(
            "only estimators of skvae, and of classes derived from them, can be saved, "
            f"got a {type(estimator).__name__}: save the one inside, if it has one."
        )
    check_is_fitted(estimator)
    writer = _Writer(np.dtype(dtype))
    return writer.estimator(estimator, "", fitted=True), writer.arrays


def rebuild(
    description: Any,
    arrays: Mapping[str, np.ndarray],
    *,
    classes: Classes | Iterable[type | str] = (),
) -> Any:
    """Put a fitted estimator together again.

    Parameters
    ----------
    description : dict
        From :func:`describe`, or JSON from anybody.
    arrays : mapping of str to ndarray
        Finite; those of float16 become float32.
    classes : Classes, or iterable of type or str, default=()
        Classes outside skvae that may be in it, as for :func:`skvae.load_pretrained`.

    Returns
    -------
    estimator

    Raises
    ------
    ValueError
        If it describes no fitted estimator of these classes.

    Examples
    --------
    >>> from skvae import WienerFilter
    >>> rebuild(*describe(WienerFilter(0.9).fit([np.zeros(1)])))
    WienerFilter(smoothing=0.9)
    """
    known = classes if isinstance(classes, Classes) else Classes(classes)
    reader = _Reader(arrays, known)
    try:
        estimator = reader.estimator(description, fitted=True)
    # The checks expect values that people pass, but files may hold anything.
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"its parameters are inconsistent: {error}.") from error
    if not hasattr(estimator, "fit"):
        raise ValueError(f"it holds no fitted estimator, but {shortened(estimator)}.")
    for name in sorted(set(arrays) - reader.used):
        raise ValueError(f"it has the array {shortened(name)}, which nothing uses.")
    return estimator


def check_parameters(estimator: Any) -> None:
    """Raise a ValueError for a parameter of an estimator that is out of range.

    Parameters
    ----------
    estimator : estimator
        Of skvae or derived from it. Estimators in its parameters are not checked.

    Examples
    --------
    >>> from skvae import WienerFilter
    >>> check_parameters(WienerFilter(smoothing=2))
    Traceback (most recent call last):
        ...
    ValueError: `smoothing` must be a number in [0, 1], got 2.
    """
    if isinstance(estimator, STFT):
        check_real("n_fft", estimator.n_fft, low=1, high=_MAX_N_FFT, integer=True)
    stft = getattr(estimator, "stft", None)
    if stft is not None and not isinstance(stft, STFT):
        raise ValueError(f"`stft` must be None or an STFT, got {stft!r}.")
    check_ranges(estimator)
    if hasattr(estimator, "_check_parameters"):
        estimator._check_parameters()
    elif hasattr(estimator, "check"):
        estimator.check()
    elif estimator.get_params(deep=False):
        # The `fit` of a transformer only checks parameters.
        clone(estimator).fit([np.zeros(1)])


class _Writer:
    """Takes estimators apart and collects their arrays."""

    def __init__(self, weights_dtype: np.dtype):
        self.arrays: dict[str, np.ndarray] = {}
        self.weights_dtype = weights_dtype

    def estimator(self, estimator: Any, where: str, *, fitted: bool) -> dict[str, Any]:
        cls = type(estimator)
        name = cls.__name__
        if not extends_skvae(cls):
            raise ValueError(
                f"`{where.rstrip('/')}` is a {name}, which is no estimator of skvae "
                "and not derived from one."
            )
        parameters = estimator.get_params(deep=False)
        attributes = {
            key: value
            for key, value in vars(estimator).items()
            if key not in parameters and key not in _OF_SCIKIT_LEARN
        }
        node: dict[str, Any] = {"class": class_name(cls)}
        node["parameters"] = {
            key: self.parameter(key, value, attributes, f"{where}{key}")
            for key, value in parameters.items()
            if key not in NOT_KEPT
        }
        if parameters.get("noise_estimate") == "profile":
            # "auto" does the same with a profile, and also works without one.
            node["parameters"]["noise_estimate"] = "auto"
        if fitted:
            known = {**learned_attributes(cls), **_N_FEATURES}
            unknown = sorted(set(attributes) - set(known))
            if unknown:
                raise ValueError(
                    f"{name} has the attribute `{unknown[0]}`, which is not in its "
                    "`_learned` and would be lost: declare what `fit` sets there."
                )
            node["attributes"] = {
                key: self.attribute(key, attributes[key], f"{where}{key}")
                for key in known
                if key in attributes
            }
        return node

    def parameter(
        self, name: str, value: Any, attributes: Mapping[str, Any], where: str
    ) -> Any:
        if isinstance(value, FrozenEstimator):
            for key, attribute in attributes.items():
                if attribute is value:
                    return {"fitted": key}
            value = value.estimator
        if isinstance(value, BaseEstimator):
            return self.estimator(value, f"{where}/", fitted=False)
        if isinstance(value, np.random.Generator | np.random.RandomState):
            return None
        if name == "window" and isinstance(value, np.ndarray):
            return self.array(where, value)
        return self.plain(where, value)

    def attribute(self, name: str, value: Any, where: str) -> Any:
        if isinstance(value, FrozenEstimator):
            return {"frozen": self.attribute(name, value.estimator, where)}
        if isinstance(value, BaseEstimator):
            return self.estimator(value, f"{where}/", fitted=True)
        if isinstance(value, np.ndarray):
            return self.array(where, value)
        if isinstance(value, dict):
            return {
                "weights": {
                    key: self.array(f"{where}/{key}", array, self.weights_dtype)
                    for key, array in value.items()
                }
            }
        if dataclasses.is_dataclass(value):
            return {"config": config_fields(value)}
        return self.plain(where, value)

    def array(
        self, where: str, array: np.ndarray, dtype: np.dtype | None = None
    ) -> dict[str, str]:
        array = np.asarray(array)
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(
                f"`{where}` must be an array of finite numbers, but it holds "
                f"{'NaN or inf' if array.dtype.kind == 'f' else array.dtype}."
            )
        if dtype is not None:
            with np.errstate(over="ignore"):
                array = array.astype(dtype, copy=False)
            if not np.isfinite(array).all():
                raise ValueError(
                    f"`{where}` has numbers too large for {dtype}: use float32."
                )
        self.arrays[where] = array
        return {"array": where}

    def plain(self, where: str, value: Any) -> Any:
        if value is None or isinstance(value, str | bool):
            return value
        if isinstance(value, np.bool_):
            return bool(value)
        if isinstance(value, numbers.Integral):
            return int(value)
        if isinstance(value, numbers.Real):
            check_real(where, value)
            return float(value)
        if isinstance(value, list):
            return [self.plain(where, item) for item in value]
        if isinstance(value, tuple):
            return {"tuple": [self.plain(where, item) for item in value]}
        raise ValueError(
            f"`{where}` is a {type(value).__name__}, which a model file cannot hold."
        )


class _Reader:
    """Puts estimators together and records which arrays it used."""

    def __init__(self, arrays: Mapping[str, np.ndarray], classes: Classes):
        self.arrays = arrays
        self.classes = classes
        self.used: set[str] = set()

    def estimator(self, node: Any, *, fitted: bool) -> Any:
        keys = {"class", "parameters", *(["attributes"] if fitted else [])}
        if not isinstance(node, dict) or node.keys() != keys:
            kind = "fitted" if fitted else "unfitted"
            raise ValueError(
                f"an object must be the {' and the '.join(sorted(keys))} of an "
                f"{kind} estimator, got {shortened(node)}."
            )
        constructor: Any = self.classes.find(node["class"])
        kept = self.named(node, "attributes") if fitted else {}
        parameters = self.named(node, "parameters")
        known = set(constructor._get_param_names()) - NOT_KEPT
        for name, value in parameters.items():
            is_window = issubclass(constructor, STFT) and name == "window"
            if name not in known or (isinstance(value, np.ndarray) and not is_window):
                raise ValueError(
                    f"{node['class']} has no parameter {shortened(name)} that a file "
                    "may hold so."
                )
            if isinstance(value, _Reference):
                parameters[name] = value.find(kept)
        estimator = constructor(**parameters)
        check_parameters(estimator)
        if fitted:
            self.attributes(estimator, kept)
        return estimator

    def attributes(self, estimator: Any, kept: dict[str, Any]) -> None:
        name = type(estimator).__name__
        known = learned_attributes(type(estimator))
        for key in [*known, *kept]:
            if key not in kept:
                raise ValueError(f"{name} lacks the learned attribute `{key}`.")
            if key not in known and key not in _N_FEATURES:
                raise ValueError(f"{name} has no attribute {shortened(key)}.")
        for key, declared in {**known, **_N_FEATURES}.items():
            if key in kept:
                setattr(estimator, key, declared.restore(key, kept[key], estimator))

    def named(self, node: dict[str, Any], part: str) -> dict[str, Any]:
        values = node[part]
        if not isinstance(values, dict):
            raise ValueError(f"{part} must have names, got {shortened(values)}.")
        fitted = part == "attributes"
        return {name: self.value(value, fitted) for name, value in values.items()}

    def value(self, node: Any, fitted: bool) -> Any:
        """Value of an attribute (`fitted`) or of a parameter."""
        if isinstance(node, list):
            return [self.value(item, fitted) for item in node]
        if not isinstance(node, dict):
            return node
        if len(node) != 1:
            return self.estimator(node, fitted=fitted)
        [(kind, content)] = node.items()
        if kind == "tuple" and isinstance(content, list):
            return tuple(self.value(item, fitted) for item in content)
        if kind == "array":
            return self.array(content)
        if kind == "fitted" and not fitted and isinstance(content, str):
            return _Reference(content)
        if kind == "frozen" and fitted:
            return FrozenEstimator(self.estimator(content, fitted=True))
        if kind == "config" and fitted and isinstance(content, dict):
            return dict(content)
        if kind == "weights" and fitted and isinstance(content, dict):
            weights = {key: self.value(array, fitted) for key, array in content.items()}
            if all(isinstance(array, np.ndarray) for array in weights.values()):
                return weights
        raise ValueError(f"it has {shortened(node)} in the wrong place.")

    def array(self, name: Any) -> np.ndarray:
        if not isinstance(name, str) or name not in self.arrays or name in self.used:
            raise ValueError(
                f"it refers to the array {shortened(name)}, which is missing or "
                "already used."
            )
        self.used.add(name)
        array = self.arrays[name]
        return array.astype(np.float32) if array.dtype == np.float16 else array


class _Reference:
    """Parameter that is also an attribute of its owner."""

    def __init__(self, name: str):
        self.name = name

    def find(self, kept: Mapping[str, Any]) -> FrozenEstimator:
        found = kept.get(self.name)
        if not isinstance(found, FrozenEstimator):
            raise ValueError(f"`{shortened(self.name)}` must be a frozen estimator.")
        return found
