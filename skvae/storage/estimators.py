"""Fitted estimators as JSON and arrays, and back: nothing that is read is run.

An estimator is its class, the parameters of its constructor and what `fit` has left.
In JSON None, numbers, strings and lists stand for themselves; the rest are objects:

    {"class": name, "parameters": {...}, "attributes": {...}}   an estimator
    {"frozen": estimator}             scikit-learn's FrozenEstimator
    {"fitted": name}                  as a parameter: the attribute of that name
    {"tuple": [...]}                  a tuple
    {"array": name}                   an array, kept elsewhere under that name
    {"weights": {name: array, ...}}   the weights of a network
    {"config": {...}}                 the sizes of a network

Not all parameters are kept. Those that hold recordings or name files (`mixer`, `noise`,
`checkpoint`) and those that say where and how to compute (`device`, `n_jobs`,
`verbose`) belong to whoever fits: their defaults take their place. A generator as
`random_state` becomes None, since `seed_` is what was drawn from it. An estimator as a
parameter is kept without what it has learned, unless it is frozen and in use: then it
is also an attribute of its owner.

On the way back the class must be one of this package, each parameter one of its
constructor and in its range, each attribute one that `fit` sets, of the shape that the
parameters ask for. Only then there is an object.
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

import skvae
from skvae.signal.stft import STFT
from skvae.utils.parameters import check_ranges, check_real

#: Parameters that belong to whoever fits, and are no part of a model.
NOT_KEPT = frozenset({"mixer", "noise", "checkpoint", "device", "n_jobs", "verbose"})

#: Limits of what is built to check a model with: 5 s at 48 kHz, and layers.
_MAX_N_FFT, _MAX_LAYERS = 2**18, 100

#: Takes the name of an attribute, what was kept of it and its estimator, which has its
#: parameters and the attributes before it; gives the attribute, or a ValueError.
Restore = Callable[[str, Any, Any], Any]


def describe(
    estimator: BaseEstimator, *, weights: str = "float32"
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Take a fitted estimator apart.

    Parameters
    ----------
    estimator : estimator
        One of this package, fitted.
    weights : {"float32", "float16"}, default="float32"
        What the weights of networks are kept in.

    Returns
    -------
    description : dict
        What JSON can hold.
    arrays : dict of str to ndarray
        The arrays that it names.

    Raises
    ------
    ValueError
        If there is something that cannot be kept.

    Examples
    --------
    >>> from skvae import WienerFilter
    >>> description, arrays = describe(WienerFilter().fit([np.zeros(1)]))
    >>> description["class"], description["parameters"]["smoothing"], arrays
    ('WienerFilter', 0.98, {})
    """
    if not _is_ours(estimator) or not hasattr(estimator, "fit"):
        raise ValueError(
            f"only estimators of skvae are kept, got a {type(estimator).__name__}: "
            "save the one inside, if it has one."
        )
    check_is_fitted(estimator)
    writer = _Writer(np.dtype(weights))
    return writer.estimator(estimator, "", fitted=True), writer.arrays


def rebuild(description: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Put a fitted estimator together again.

    Parameters
    ----------
    description : dict
        From :func:`describe`, or what JSON from anybody held.
    arrays : mapping of str to ndarray
        Finite; those of float16 become float32.

    Returns
    -------
    estimator

    Raises
    ------
    ValueError
        If it describes no fitted estimator of this package.

    Examples
    --------
    >>> from skvae import WienerFilter
    >>> rebuild(*describe(WienerFilter(0.9).fit([np.zeros(1)])))
    WienerFilter(smoothing=0.9)
    """
    reader = _Reader(arrays)
    try:
        estimator = reader.estimator(description, fitted=True)
    # Checks are written for what people pass, and files may hold anything.
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"its parameters make no sense: {error}.") from error
    if not hasattr(estimator, "fit"):
        raise ValueError(f"it has no fitted estimator, but {_short(estimator)}.")
    unused = sorted(set(arrays) - reader.used)
    if unused:
        raise ValueError(f"it has the array {_short(unused[0])}, which nothing uses.")
    return estimator


def check_parameters(estimator: Any) -> None:
    """Raise a ValueError for a parameter of an estimator that is out of range.

    Parameters
    ----------
    estimator : estimator
        One of this package. The estimators in its parameters are not looked into.

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
        # A transformer: its fit checks the parameters, and learns nothing.
        clone(estimator).fit([np.zeros(1)])


def _whole(low: int) -> Restore:
    def restore(name: str, value: Any, estimator: Any) -> int:
        check_real(name, value, low=low, integer=True)
        return int(value)

    return restore


def _number(name: str, value: Any, estimator: Any) -> float:
    check_real(name, value)
    return float(value)


def _positive(name: str, value: Any, estimator: Any) -> float:
    check_real(name, value, low=0, open_low=True)
    return float(value)


def _numbers(name: str, value: Any, estimator: Any) -> list[float]:
    if not isinstance(value, list):
        raise ValueError(f"`{name}` must be a list of numbers, got {_short(value)}.")
    return [_number(f"{name}[{k}]", item, estimator) for k, item in enumerate(value)]


def _stft(name: str, value: Any, estimator: Any) -> STFT:
    if not isinstance(value, STFT):
        raise ValueError(f"`{name}` must be an STFT, got {_short(value)}.")
    return value


def _powers(*sizes: str, optional: bool = False) -> Restore:
    """Array of numbers of at least 0. Sizes are parameters, "n_bins" or "any"."""

    def size_of(size: str, estimator: Any) -> Any:
        if size == "n_bins":
            return _n_bins(estimator)
        return size if size == "any" else getattr(estimator, size)

    def restore(name: str, value: Any, estimator: Any) -> np.ndarray | None:
        if value is None and optional:
            return None
        shape = tuple(size_of(size, estimator) for size in sizes)
        if not isinstance(value, np.ndarray) or not _has_shape(value, shape):
            got = getattr(value, "shape", None) or _short(value)
            raise ValueError(f"`{name}` must be an array of shape {shape}, got {got}.")
        if value.min() < 0:
            raise ValueError(f"`{name}` must have no negative numbers.")
        return value

    return restore


def _has_shape(array: np.ndarray, shape: tuple[Any, ...]) -> bool:
    return (
        array.size > 0
        and array.ndim == len(shape)
        and all(
            wanted in ("any", size)
            for wanted, size in zip(shape, array.shape, strict=True)
        )
    )


def _part(method: str, *, optional: bool = False) -> Restore:
    """Fitted estimator that has a method, with the STFT of its owner."""

    def restore(name: str, value: Any, estimator: Any) -> Any:
        if value is None and optional:
            return None
        if not hasattr(value, method) or not hasattr(value, "stft_"):
            raise ValueError(
                f"`{name}` must be a fitted estimator with the method {method}, "
                f"got {_short(value)}."
            )
        ours, theirs = estimator.stft_, value.stft_
        same = ours.framing() == theirs.framing()
        if not same or ours.sample_rate != theirs.sample_rate:
            raise ValueError(
                f"`{name}` was fitted with {theirs}, but `stft_` is {ours}."
            )
        return value

    return restore


def _config(name: str, value: Any, estimator: Any) -> Any:
    check_real("n_layers", getattr(estimator, "n_layers", 1), high=_MAX_LAYERS)
    wanted = estimator._make_config(_n_bins(estimator))
    if not isinstance(value, _Config) or value != _sizes(wanted):
        raise ValueError(
            f"`{name}` is {_short(value)}, but its parameters and `stft_` ask for "
            f"{_sizes(wanted)}: parameters were changed since it was fitted."
        )
    if len(wanted.hidden) > _MAX_LAYERS:
        raise ValueError(
            f"`hidden` must have up to {_MAX_LAYERS} layers, got {len(wanted.hidden)}."
        )
    return wanted


def _weights_of(network: str) -> Restore:
    """Weights of a class of networks, named with its module."""

    def restore(name: str, value: Any, estimator: Any) -> dict[str, np.ndarray]:
        import torch

        module, _, class_name = network.rpartition(".")
        build = getattr(import_module(module), class_name)
        if not isinstance(value, _Weights):
            raise ValueError(f"`{name}` must be weights, got {_short(value)}.")
        try:
            with torch.device("meta"):  # shapes only: sizes may be lies
                wanted = build(estimator.config_).state_dict()
        except RuntimeError as error:
            raise ValueError(f"`{name}` would be too large: {error}") from error
        for key in [*wanted, *value]:
            if key not in value or key not in wanted:
                has = "lacks" if key in wanted else "has"
                raise ValueError(
                    f"`{name}` {has} {_short(key)}, unlike a network of the sizes "
                    "that `config_` gives."
                )
            array, shape = value[key], tuple(wanted[key].shape)
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(
                    f"`{name}` must have {key!r} of shape {shape} and dtype float32, "
                    f"got {array.shape} and {array.dtype}."
                )
        return dict(value)

    return restore


def _trained(network: str) -> dict[str, Restore]:
    return {
        "config_": _config,
        "state_": _weights_of(f"skvae.{network}"),
        "loss_curve_": _numbers,
        "validation_loss_curve_": _numbers,
        "best_loss_": _number,
        "n_iter_": _whole(0),
    }


_ANALYSIS: dict[str, Restore] = {"stft_": _stft, "seed_": _whole(0)}
_CLASSICAL: dict[str, Restore] = {
    **_ANALYSIS,
    "noise_power_": _powers("n_bins", optional=True),
    "_frames_per_update": _whole(1),
}
_SPEECH_MODEL: dict[str, Restore] = {**_ANALYSIS, "level_": _positive}

#: All classes that a description may name, and what `fit` leaves in each, in the order
#: in which it is restored.
_ATTRIBUTES: dict[str, dict[str, Restore]] = {
    "STFT": {},
    "ISTFT": {},
    "LogMel": {},
    "SpectralSubtraction": _CLASSICAL,
    "WienerFilter": _CLASSICAL,
    "LogMMSE": _CLASSICAL,
    "ISNMF": {
        **_ANALYSIS,
        "components_": _powers("n_components", "n_bins"),
        "noise_components_": _powers("n_noise_components", "n_bins", optional=True),
        "loss_curve_": _numbers,
        "n_iter_": _whole(0),
    },
    "RPCA": {**_ANALYSIS, "noise_magnitude_": _powers("any", "n_bins", optional=True)},
    "DNNMask": {**_ANALYSIS, **_trained("masks.networks.MaskNetwork")},
    "BiLSTMMask": {**_ANALYSIS, **_trained("masks.networks.MaskNetwork")},
    "SpeechVAE": {**_SPEECH_MODEL, **_trained("speech.vae_network.SpeechNetwork")},
    "DenoisingVAE": {
        **_SPEECH_MODEL,
        **_trained("speech.denoising_network.DenoisingNetwork"),
    },
    "NoiseAwareVAE": {
        **_SPEECH_MODEL,
        "vae_": _part("networks", optional=True),
        **_trained("speech.noise_aware_network.NoiseAwareNetwork"),
    },
    "VAENMFEnhancer": {
        **_ANALYSIS,
        "vae_": _part("networks"),
        "guide_": _part("separate", optional=True),
        "noise_components_": _powers("n_components", "n_bins", optional=True),
    },
    "DnVAENMFEnhancer": {**_ANALYSIS, "dvae_": _part("networks")},
    "VEM": {},
    "GradientVEM": {},
    "MCEM": {},
    "MCMC": {},
}

#: Names of these classes, all of which are public.
CLASSES = tuple(_ATTRIBUTES)

#: What callbacks and data frames leave behind; enhancing does not depend on it.
_OF_SCIKIT_LEARN = {"_skl_callbacks", "feature_names_in_"}

#: Set by all that have a `fit`, but only where it saw a 2-D array.
_N_FEATURES = {"n_features_in_": _whole(1)}


def _class_of(name: Any) -> type:
    """Look up a class of this package: never a name that a file brings along."""
    if not isinstance(name, str) or name not in _ATTRIBUTES:
        raise ValueError(
            f"it has the class {_short(name)}, but the classes that files hold are "
            f"{', '.join(_ATTRIBUTES)}."
        )
    found: type = getattr(import_module(skvae._EXPORTS[name]), name)
    return found


def _is_ours(estimator: Any) -> bool:
    name = type(estimator).__name__
    return name in _ATTRIBUTES and type(estimator) is _class_of(name)


class _Weights(dict):
    """Weights as they were kept."""


class _Config(dict):
    """Sizes of a network as they were kept."""


class _Writer:
    """Takes estimators apart, and gathers their arrays."""

    def __init__(self, weights_dtype: np.dtype):
        self.arrays: dict[str, np.ndarray] = {}
        self.weights_dtype = weights_dtype

    def estimator(self, estimator: Any, where: str, *, fitted: bool) -> dict[str, Any]:
        name = type(estimator).__name__
        if not _is_ours(estimator):
            raise ValueError(f"`{where}` is a {name}, which is no estimator of skvae.")
        parameters = estimator.get_params(deep=False)
        attributes = {
            key: value
            for key, value in vars(estimator).items()
            if key not in parameters and key not in _OF_SCIKIT_LEARN
        }
        node: dict[str, Any] = {"class": name}
        node["parameters"] = {
            key: self.parameter(key, value, attributes, f"{where}{key}")
            for key, value in parameters.items()
            if key not in NOT_KEPT
        }
        if parameters.get("noise_estimate") == "profile":
            # The same where the noise is known, and right without its recording too.
            node["parameters"]["noise_estimate"] = "auto"
        if fitted:
            known = {**_ATTRIBUTES[name], **_N_FEATURES}
            unknown = sorted(set(attributes) - set(known))
            if unknown:
                raise ValueError(
                    f"{name} has the attribute `{unknown[0]}`, which `fit` does not "
                    "set, and which would not be kept."
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
            return {"config": _sizes(value)}
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
                    f"`{where}` has numbers too large for {dtype}: keep it in float32."
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
    """Puts estimators together, and remembers which arrays it used."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self.arrays = arrays
        self.used: set[str] = set()

    def estimator(self, node: Any, *, fitted: bool) -> Any:
        keys = {"class", "parameters", *(["attributes"] if fitted else [])}
        if not isinstance(node, dict) or node.keys() != keys:
            kind = "fitted" if fitted else "unfitted"
            raise ValueError(
                f"an object must be the {' and the '.join(sorted(keys))} of an "
                f"{kind} estimator, got {_short(node)}."
            )
        constructor = _class_of(node["class"])
        kept = self.named(node, "attributes") if fitted else {}
        parameters = self.named(node, "parameters")
        known = set(constructor().get_params(deep=False)) - NOT_KEPT
        for name, value in parameters.items():
            is_window = constructor is STFT and name == "window"
            if name not in known or (isinstance(value, np.ndarray) and not is_window):
                raise ValueError(
                    f"{node['class']} has no parameter {_short(name)} that would be "
                    "kept so."
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
        known = _ATTRIBUTES[name]
        for key in [*known, *kept]:
            if key not in kept:
                raise ValueError(f"{name} lacks what it has learned, `{key}`.")
            if key not in known and key not in _N_FEATURES:
                raise ValueError(f"{name} has no attribute {_short(key)}.")
        for key, restore in {**known, **_N_FEATURES}.items():
            if key in kept:
                setattr(estimator, key, restore(key, kept[key], estimator))

    def named(self, node: dict[str, Any], part: str) -> dict[str, Any]:
        values = node[part]
        if not isinstance(values, dict):
            raise ValueError(f"{part} must have names, got {_short(values)}.")
        fitted = part == "attributes"
        return {name: self.value(value, fitted) for name, value in values.items()}

    def value(self, node: Any, fitted: bool) -> Any:
        """What is kept of an attribute (`fitted`) or a parameter."""
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
            return _Config(content)
        if kind == "weights" and fitted and isinstance(content, dict):
            weights = {key: self.value(array, fitted) for key, array in content.items()}
            if all(isinstance(array, np.ndarray) for array in weights.values()):
                return _Weights(weights)
        raise ValueError(f"it has {_short(node)} where it cannot be.")

    def array(self, name: Any) -> np.ndarray:
        if not isinstance(name, str) or name not in self.arrays or name in self.used:
            raise ValueError(
                f"it wants an array {_short(name)} that is not there, or twice."
            )
        self.used.add(name)
        array = self.arrays[name]
        return array.astype(np.float32) if array.dtype == np.float16 else array


class _Reference:
    """Parameter that is an attribute of its owner."""

    def __init__(self, name: str):
        self.name = name

    def find(self, kept: Mapping[str, Any]) -> FrozenEstimator:
        found = kept.get(self.name)
        if not isinstance(found, FrozenEstimator):
            raise ValueError(f"`{_short(self.name)}` must be a frozen estimator.")
        return found


def _n_bins(estimator: Any) -> int:
    return int(estimator.stft_.framing().n_bins)


def _sizes(config: Any) -> dict[str, Any]:
    """Fields of a configuration, as JSON has them, that the weights depend on."""
    values = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.compare
    }
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }


def _short(value: Any) -> str:
    """Represent something from a file, which may be long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
