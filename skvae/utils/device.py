"""PyTorch devices by name: a string survives cloning, JSON and a change of machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def check_device(device: Any, n_jobs: int | None = None) -> str:
    """Name of the PyTorch device to compute on.

    Parameters
    ----------
    device : str
        "cpu", "cuda", "cuda:1", "mps" or "auto": a GPU where there is one.
    n_jobs : int, default=None
        Number of processes that are to share it.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no such device, or if several processes were to share a GPU.

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
            f"`n_jobs`={n_jobs} and `device`={device!r} exclude each other: a GPU is "
            "not shared by processes. Pass n_jobs=None."
        )
    return device


def as_tensor(array: np.ndarray, device: str = "cpu") -> torch.Tensor:
    """Tensor of an array, on a device.

    Parameters
    ----------
    array : ndarray
        Shared with the tensor where it is writable and on the CPU.
    device : str
        A name that :func:`check_device` has returned.

    Returns
    -------
    torch.Tensor

    Examples
    --------
    >>> as_tensor(np.ones(2))
    tensor([1., 1.], dtype=torch.float64)
    """
    import torch

    # PyTorch knows no read-only memory and warns of it: those arrays are copied.
    return torch.as_tensor(np.require(array, requirements=["C", "W"])).to(device)


def torch_generator(rng: np.random.Generator, device: str = "cpu") -> torch.Generator:
    """Generator of PyTorch that goes on where NumPy's stands.

    Parameters
    ----------
    rng : numpy.random.Generator
        One number is drawn from it.
    device : str
        A name that :func:`check_device` has returned.

    Returns
    -------
    torch.Generator
        On the device if that is CUDA: elsewhere numbers come from the CPU, and so are
        the same.

    Examples
    --------
    >>> torch_generator(np.random.default_rng(0)).device
    device(type='cpu')
    """
    import torch

    on_cuda = torch.device(device).type == "cuda"
    generator = torch.Generator(device if on_cuda else "cpu")
    return generator.manual_seed(int(rng.integers(2**62)))
