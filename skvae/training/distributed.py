"""Training by several processes, each of which computes some rows of every batch.

All of them read the same batches, draw the same random numbers, for whole batches, and
move their weights alike, by the sum of their gradients: the result is that of one
process, up to rounding, whatever the rows of each weigh.

PyTorch's DistributedDataParallel would ask for more: it follows what goes through a
module's ``forward``, which the losses here do not call, and takes the mean of the
processes' gradients as if each of them had as many frames. Its gain, to send gradients
while others are computed, is small for networks of a few megabytes.
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

#: What a launcher tells each of its processes: which it is, and of how many; and which
#: it is on its machine.
_RANK, _SIZE, _LOCAL_RANK = "RANK", "WORLD_SIZE", "LOCAL_RANK"

Batch = TypeVar("Batch", bound="Divisible")


class Divisible(Protocol):
    """A batch that can be divided."""

    @property
    def n_rows(self) -> int:
        """Number of rows: of frames, or of sequences."""

    def part(self: Batch, rows: slice) -> Batch:
        """Some of the rows."""


@dataclass(frozen=True)
class Team:
    """Processes that train together, as one of them sees it.

    Parameters
    ----------
    rank : int
        Which one this is, from 0.
    size : int
        How many there are.

    Examples
    --------
    >>> Team().is_first, Team().rows(10), Team(1, 3).rows(10)
    (True, slice(0, 10, None), slice(3, 6, None))
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this one writes files, and tells of progress."""
        return self.rank == 0

    def rows(self, n_rows: int) -> slice:
        """Rows of a batch that belong to this process.

        Parameters
        ----------
        n_rows : int
            Number of rows of the batch.

        Returns
        -------
        slice
            As many as the others have, or one less or more.
        """
        return slice(
            self.rank * n_rows // self.size, (self.rank + 1) * n_rows // self.size
        )

    def divided(
        self, loss: Callable[[Any, bool], tuple[Tensor, int]]
    ) -> Callable[[Any, bool], tuple[Tensor, int]]:
        """Let a loss compute the rows of this process.

        Parameters
        ----------
        loss : callable
            As for :func:`skvae.training.loop.train`; of a :class:`Divisible`.

        Returns
        -------
        callable
            Of a whole batch: the mean over what this process has of it, and the number
            of items of that.
        """
        if self.size == 1:
            return loss

        def of_rows(batch: Divisible, training: bool) -> tuple[Tensor, int]:
            rows = self.rows(batch.n_rows)
            has_none = rows.start == rows.stop
            if has_none:  # another one's row, so that all draw alike
                rows = slice(0, 1)
            with drawing_for_rows(rows, batch.n_rows):
                mean, n_items = loss(batch.part(rows), training)
            return mean, 0 if has_none else n_items

        return of_rows

    @torch.no_grad()
    def gather_gradients(self, weights: Mapping[str, Tensor], n_items: int) -> None:
        """Give all processes the gradient of the mean over all items.

        Parameters
        ----------
        weights : mapping of str to Tensor
            Their gradients are those of a mean over some items.
        n_items : int
            How many.
        """
        if self.size == 1:
            return
        gradients = [w.grad for w in weights.values() if w.grad is not None]
        weight = gradients[0].new_full((1,), n_items)
        # One message, with the weight of its sender.
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
            The same to the bit in all processes.
        """
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def count(self, is_so: bool, device: torch.device) -> int:
        """In how many of the processes something is so.

        Parameters
        ----------
        is_so : bool
            Whether it is so in this one.
        device : torch.device
            Where the processes exchange tensors.

        Returns
        -------
        int
        """
        if self.size == 1:
            return int(is_so)
        return int(self.sum(torch.tensor(int(is_so), device=device)))

    @torch.no_grad()
    def start_alike(self, tensors: Mapping[str, Tensor]) -> None:
        """Give all processes the tensors of the first.

        Parameters
        ----------
        tensors : mapping of str to Tensor
            Changed in place.
        """
        if self.size > 1:
            for tensor in tensors.values():
                torch.distributed.broadcast(tensor, src=0)


#: Where nothing says otherwise.
ALONE = Team()

_TEAM: ContextVar[Team] = ContextVar("team", default=ALONE)


def current_team() -> Team:
    """Processes that training is shared by: just this one unless :func:`team` says so.

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
    """Context in which the processes that torchrun has started train together.

    In it every network that is trained is trained by all of them. They must do the same
    in the same order: read the same recordings, with the same parameters and the same
    integer `random_state`. In a process that no launcher has started nothing changes.

    Parameters
    ----------
    device : str
        Where it is trained: "cpu", or "cuda", which then is another GPU for each
        process of a machine.

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
            f'`device` must be "cuda" for several processes, got {device!r}: each has '
            "a GPU of its own."
        )
    if local_rank >= n_gpus:
        raise ValueError(
            f"process {local_rank} of this machine has no GPU, which has {n_gpus}: "
            f"start torchrun with --nproc_per_node {n_gpus}, or take the device cpu."
        )
    torch.cuda.set_device(local_rank)
