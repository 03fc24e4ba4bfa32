"""What training leaves in an estimator: the sizes of a network and its weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skvae.training.networks import value_ranges
from skvae.utils.learned import config_fields
from skvae.utils.parameters import MAX_WEIGHT, Number
from skvae.utils.words import shortened

#: Range of weights; those of trained networks are below 10.
_WEIGHTS = Number(-MAX_WEIGHT, MAX_WEIGHT)


class Config:
    """Sizes of a network, which the parameters and `stft_` of its owner determine.

    The owner's ``_make_config(stft)`` makes the configuration that is wanted.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import DNNMask, Training
    >>> mask = DNNMask(8, training=Training(1)).fit([np.ones(2000)])
    >>> Config().restore("config_", {"hidden": [9]}, mask)
    Traceback (most recent call last):
        ...
    ValueError: `config_` is {'hidden': [9]}, but its parameters and `stft_` ask for ...
    """

    def restore(self, name: str, value: Any, estimator: Any) -> Any:
        """Return the configuration, or raise a ValueError."""
        wanted = estimator._make_config(estimator.stft_)
        if not isinstance(value, dict) or value != config_fields(wanted):
            raise ValueError(
                f"`{name}` is {shortened(value)}, but its parameters and `stft_` ask "
                f"for {config_fields(wanted)}: parameters were changed since it was "
                "fitted."
            )
        return wanted


class Weights:
    """Weights of the owner's ``_network_class``, built from its `config_`.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae import DNNMask, Training
    >>> mask = DNNMask(8, training=Training(1)).fit([np.ones(2000)])
    >>> Weights().restore("state_", {}, mask)
    Traceback (most recent call last):
        ...
    ValueError: `state_` lacks 'features.filters', unlike a network of the sizes ...
    """

    def restore(self, name: str, value: Any, estimator: Any) -> dict[str, np.ndarray]:
        """Return the weights, or raise a ValueError."""
        if not isinstance(value, dict):
            raise ValueError(f"`{name}` must be weights, got {shortened(value)}.")
        try:
            with torch.device("meta"):  # shapes only: sizes may be lies
                network = estimator._network_class(estimator.config_)
        except RuntimeError as error:
            raise ValueError(f"`{name}` would be too large: {error}") from error
        wanted, ranges = network.state_dict(), value_ranges(network)
        for key in [*wanted, *value]:
            if key not in value or key not in wanted:
                has = "lacks" if key in wanted else "has"
                raise ValueError(
                    f"`{name}` {has} {shortened(key)}, unlike a network of the sizes "
                    "that `config_` gives."
                )
        for key, wanted_array in wanted.items():
            array, shape = value[key], tuple(wanted_array.shape)
            if not isinstance(array, np.ndarray):
                raise ValueError(
                    f"`{name}` must have arrays, got {shortened(array)} as {key!r}."
                )
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(
                    f"`{name}` must have {key!r} of shape {shape} and dtype float32, "
                    f"got {array.shape} and {array.dtype}."
                )
            _check_values(f"{name}[{key!r}]", array, ranges.get(key, _WEIGHTS))
        return dict(value)


def _check_values(name: str, array: np.ndarray, allowed: Number) -> None:
    """Raise a ValueError for numbers with which a network computes nonsense."""
    for value in (array.min(), array.max()):
        allowed.check(name, float(value))
    if array.ndim > 1 and not array.any():
        raise ValueError(f"`{name}` has only zeros, so its layer hears nothing.")
