"""Parameters of estimators and of their training, in one dictionary."""

from __future__ import annotations

from typing import Any

from skvae import Training

_FIELDS = frozenset(Training().get_params())


def nested(parameters: dict[str, Any]) -> dict[str, Any]:
    """The same as `set_params` takes them: ``training__max_iter`` for ``max_iter``."""
    return {
        f"training__{name}" if name in _FIELDS else name: value
        for name, value in parameters.items()
    }


def made(cls: type, **parameters: Any) -> Any:
    """An instance with parameters of it and of its training."""
    return cls().set_params(**nested(parameters))
