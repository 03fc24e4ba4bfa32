"""Training by several processes, each of which computes some rows of every batch.

All processes read the same batches, draw the same random numbers for whole batches, and
update their weights by the sum of their gradients. The result is that of one process,
up to rounding, whatever the number of frames of each process.

PyTorch's DistributedDataParallel does not fit: it requires a module's ``forward``,
which the losses here do not call, and averages the gradients as if each process had the
same number of frames. It sends gradients during the backward pass, which gains little
for networks of a few megabytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from skvae.training.random import drawing_for_rows

#: Environment variables that a launcher sets: rank of the process, number of processes,
#: and rank on the machine.
_RANK, _SIZE, _LOCAL_RANK = "RANK", "WORLD_SIZE", "LOCAL_RANK"

Batch = TypeVar("Batch", bound="Divisible")


class Divisible(Protocol):
    """A batch that can be divided between processes."""

    @property
    def n_rows(self) -> int:
        """Number of frames, or of sequences."""

    def part(self: Batch, rows: slice) -> Batch:
        """Return some of the rows."""


@dataclass(frozen=True)
class Team:
    """Processes that train together, for one of them.

    Parameters
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        Number of processes.

    Examples
    --------
    >>> Team().is_first, Team().rows(10), Team(1, 3).rows(10)
    (True, slice(0, 10, None), slice(3, 6, None))
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def rows(self, n_rows: int) -> slice:
        """Return the rows of a batch that this process computes.

        Parameters
        ----------
        n_rows : int
            Number of rows of the batch.

        Returns
        -------
        slice
            The numbers of rows of two processes differ by at most one.
        """
        return slice(
            self.rank * n_rows // self.size, (self.rank + 1) * n_rows // self.size
        )

    def divided(
        self, loss: Callable[[Any, bool], tuple[Tensor, int]]
    ) -> Callable[[Any, bool], tuple[Tensor, int]]:
        """Restrict a loss to the rows of this process.

        Parameters
        ----------
        loss : callable
            As for :func:`skvae.training.loop.train`, of a :class:`Divisible`.

        Returns
        -------
        callable
            Function of a whole batch, which returns the mean loss over the rows of this
            process, and their number of items.
        """
        if self.size == 1:
            return loss

        def of_rows(batch: Divisible, training: bool) -> tuple[Tensor, int]:
            rows = self.rows(batch.n_rows)
            has_none = rows.start == rows.stop
            if has_none:  # a row of another process, to draw the same numbers
                rows = slice(0, 1)
            with drawing_for_rows(rows, batch.n_rows):
                mean, n_items = loss(batch.part(rows), training)
            return mean, 0 if has_none else n_items

        return of_rows

    @torch.no_grad()
    def average_gradients(self, weights: Mapping[str, Tensor], n_items: int) -> None:
        """Replace the gradients by those of the mean over the items of all processes.

        Parameters
        ----------
        weights : mapping of str to Tensor
            Weights with the gradients of the mean over the items of this process.
        n_items : int
            Number of items of this process.
        """
        if self.size == 1:
            return
        gradients = [w.grad for w in weights.values() if w.grad is not None]
        weight = gradients[0].new_full((1,), n_items)
        # One message, including the number of items of its sender.
        message = torch.cat([weight, *(n_items * g.flatten() for g in gradients)])
        torch.distributed.all_reduce(message)
        n_all, *parts = message.split([1, *(g.numel() for g in gradients)])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_((part / n_all).view_as(gradient))

    def sum(self, values: Tensor) -> Tensor:
        """Sum over the processes.

        Parameters
        ----------
        values : Tensor
            Changed in place.

        Returns
        -------
        Tensor
            The same bits in all processes.
        """
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def count(self, is_so: bool, device: torch.device) -> int:
        """Count the processes in which a condition holds.

        Parameters
        ----------
        is_so : bool
            Whether it holds in this process.
        device : torch.device
            Device on which the processes exchange tensors.

        Returns
        -------
        int
        """
        if self.size == 1:
            return int(is_so)
        return int(self.sum(torch.tensor(int(is_so), device=device)))

    @torch.no_grad()
    def broadcast(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the tensors of the first process to all others.

        Parameters
        ----------
        tensors : mapping of str to Tensor
            Changed in place.
        """
        if self.size > 1:
            for tensor in tensors.values():
                torch.distributed.broadcast(tensor, src=0)


#: The default: a single process.
ALONE = Team()

_TEAM: ContextVar[Team] = ContextVar("team", default=ALONE)


def current_team() -> Team:
    """Return the processes that train together: only this one outside :func:`team`.

    Returns
    -------
    Team

    Examples
    --------
    >>> current_team()
    Team(rank=0, size=1)
    """
    return _TEAM.get()


@contextmanager
def team(device: str = "cpu") -> Iterator[Team]:
    """Return a context in which the processes started by torchrun train together.

    All of them train every network. They must run the same operations in the same
    order: read the same recordings, with the same parameters and the same integer
    `random_state`. Without a launcher the context has no effect.

    Parameters
    ----------
    device : str
        PyTorch device of the training: "cpu", or "cuda", with one GPU for each process
        of a machine.

    Yields
    ------
    Team

    Examples
    --------
    >>> from skvae import SpeechVAE, Training
    >>> from skvae.datasets import make_speech
    >>> speech = [make_speech(16000, random_state=k) for k in range(3)]
    >>> with team() as processes:
    ...     vae = SpeechVAE(2, 8, training=Training(1), random_state=0).fit(speech)
    ...     if processes.is_first:
    ...         print("trained by", processes.size)
    trained by 1
    """
    size = int(os.environ.get(_SIZE, 1))
    if size == 1:
        yield ALONE
        return
    backend = "gloo"
    if torch.device(device).type == "cuda":
        backend = "nccl"
        _choose_gpu(device)
    torch.distributed.init_process_group(backend)
    try:
        members = Team(torch.distributed.get_rank(), torch.distributed.get_world_size())
        token = _TEAM.set(members)
        try:
            yield members
        finally:
            _TEAM.reset(token)
    finally:
        torch.distributed.destroy_process_group()


def _choose_gpu(device: str) -> None:
    local_rank, n_gpus = int(os.environ[_LOCAL_RANK]), torch.cuda.device_count()
    if torch.device(device).index is not None:
        raise ValueError(
            f'`device` must be "cuda" for several processes, got {device!r}: each '
            "process has its own GPU."
        )
    if local_rank >= n_gpus:
        raise ValueError(
            f"process {local_rank} has no GPU, since this machine has {n_gpus}: start "
            f"torchrun with --nproc_per_node {n_gpus}, or use the device cpu."
        )
    torch.cuda.set_device(local_rank)
