"""PyTorch devices by name, which can be cloned, saved and moved to other machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def check_device(device: Any, n_jobs: int | None = None) -> str:
    """Validate a device and return its name.

    Parameters
    ----------
    device : str
        Name of the device: "cpu", "cuda", "cuda:1", "mps", or "auto" for a GPU if there
        is one.
    n_jobs : int, default=None
        Number of processes that use the device.

    Returns
    -------
    str
        Name of the device.

    Raises
    ------
    ValueError
        If the device is unknown or not available, or if several processes would share a
        GPU.

    Examples
    --------
    >>> check_device("cpu")
    'cpu'
    """
    if device == "cpu":
        return "cpu"
    import torch

    if not isinstance(device, str):
        raise ValueError(f"`device` must be a string, got {device!r}.")
    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "auto":
        device = "cuda" if has_cuda else "mps" if has_mps else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(
            f'`device` must be "cpu", "cuda", "cuda:N", "mps" or "auto", '
            f"got {device!r}."
        ) from error
    available = {"cpu": True, "cuda": has_cuda, "mps": has_mps}.get(kind, False)
    if not available:
        raise ValueError(
            f"`device`={device!r} is not available on this machine: "
            'pass "cpu", or "auto".'
        )
    if kind != "cpu" and n_jobs not in (None, 1):
        raise ValueError(
            f"`n_jobs`={n_jobs} and `device`={device!r} cannot be combined: processes "
            "do not share a GPU. Pass n_jobs=None."
        )
    return device


def as_tensor(array: np.ndarray, device: str = "cpu") -> torch.Tensor:
    """Convert an array to a tensor on a device.

    Parameters
    ----------
    array : ndarray
        Array. The tensor shares its memory if it is writable and on the CPU.
    device : str
        Name of the device, as :func:`check_device` returns it.

    Returns
    -------
    torch.Tensor
        The tensor.

    Examples
    --------
    >>> as_tensor(np.ones(2))
    tensor([1., 1.], dtype=torch.float64)
    """
    import torch

    # PyTorch warns of read-only memory, so read-only arrays are copied.
    return torch.as_tensor(np.require(array, requirements=["C", "W"])).to(device)


def torch_generator(rng: np.random.Generator, device: str = "cpu") -> torch.Generator:
    """Create a generator of PyTorch that is seeded by one of NumPy.

    Parameters
    ----------
    rng : numpy.random.Generator
        Generator from which one number is drawn.
    device : str
        Name of the device, as :func:`check_device` returns it.

    Returns
    -------
    torch.Generator
        Generator on the device for CUDA. All other devices use a generator on the CPU,
        which gives the same numbers.

    Examples
    --------
    >>> torch_generator(np.random.default_rng(0)).device
    device(type='cpu')
    """
    import torch

    on_cuda = torch.device(device).type == "cuda"
    generator = torch.Generator(device if on_cuda else "cpu")
    return generator.manual_seed(int(rng.integers(2**62)))
