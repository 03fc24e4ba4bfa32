"""What training leaves in an estimator: the sizes of a network and its weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvae.utils.learned import config_fields, n_bins
from skvae.utils.words import shortened

#: Most layers that are built to check a file with.
_MAX_LAYERS = 100


class Config:
    """Sizes of a network, which the parameters and `stft_` of its owner determine.

    The owner's ``_make_config(n_bins)`` makes the configuration that is wanted.

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
        wanted = estimator._make_config(n_bins(estimator))
        if not isinstance(value, dict) or value != config_fields(wanted):
            raise ValueError(
                f"`{name}` is {shortened(value)}, but its parameters and `stft_` ask "
                f"for {config_fields(wanted)}: parameters were changed since it was "
                "fitted."
            )
        if len(wanted.hidden) > _MAX_LAYERS:
            raise ValueError(
                f"`hidden_layer_sizes` must have up to {_MAX_LAYERS} layers, "
                f"got {len(wanted.hidden)}."
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
        import torch

        if not isinstance(value, dict):
            raise ValueError(f"`{name}` must be weights, got {shortened(value)}.")
        try:
            with torch.device("meta"):  # shapes only: sizes may be lies
                wanted = estimator._network_class(estimator.config_).state_dict()
        except RuntimeError as error:
            raise ValueError(f"`{name}` would be too large: {error}") from error
        for key in [*wanted, *value]:
            if key not in value or key not in wanted:
                has = "lacks" if key in wanted else "has"
                raise ValueError(
                    f"`{name}` {has} {shortened(key)}, unlike a network of the sizes "
                    "that `config_` gives."
                )
            array, shape = value[key], tuple(wanted[key].shape)
            if not isinstance(array, np.ndarray):
                raise ValueError(
                    f"`{name}` must have arrays, got {shortened(array)} as {key!r}."
                )
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(
                    f"`{name}` must have {key!r} of shape {shape} and dtype float32, "
                    f"got {array.shape} and {array.dtype}."
                )
        return dict(value)
