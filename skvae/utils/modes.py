"""Modes of NumPy and PyTorch that a caller may have set, and that must not matter."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import numpy as np

Item = TypeVar("Item")


@contextmanager
def default_modes() -> Iterator[None]:
    """Compute as if the caller had set no mode; also a decorator of functions.

    Replaced are ``np.errstate``, which may make an error of a number that rounds to
    zero; ``torch.inference_mode``, in which nothing can be trained; ``torch.autocast``;
    and the default device of PyTorch.

    Examples
    --------
    >>> with np.errstate(all="raise"), default_modes():
    ...     np.exp(np.float32(-1000))
    np.float32(0.0)
    """
    # The defaults of NumPy.
    with np.errstate(all="warn", under="ignore"), ExitStack() as stack:
        torch = sys.modules.get("torch")
        if torch is not None and hasattr(torch, "get_default_device"):
            _reset_torch(torch, stack)  # else it is being imported
        yield


def _reset_torch(torch: Any, stack: ExitStack) -> None:
    # Only where they differ: a default device slows down every call of PyTorch.
    if torch.is_inference_mode_enabled():
        stack.enter_context(torch.inference_mode(False))
    if (device := torch.get_default_device()).type != "cpu":
        stack.enter_context(torch.device("cpu"))
    for kind in {"cpu", "cuda", device.type} - {"meta"}:
        if torch.is_autocast_enabled(kind):
            stack.enter_context(torch.autocast(kind, enabled=False))


def each_in_default_modes(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items of an iterator, computed in :func:`default_modes`.

    Between two items, the modes are those of the caller.

    Parameters
    ----------
    items : iterator
        Iterator that computes each item when it is asked for it.

    Yields
    ------
    object
        Its items.

    Examples
    --------
    >>> def numbers():
    ...     yield np.exp(np.float32(-1000))
    >>> with np.errstate(all="raise"):
    ...     list(each_in_default_modes(numbers()))
    [np.float32(0.0)]
    """
    end = object()
    while True:
        with default_modes():
            item: Any = next(items, end)
        if item is end:
            return
        yield item
