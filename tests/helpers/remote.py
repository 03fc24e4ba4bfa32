"""Enhancers that tell what happens to them in other processes, which import this."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from skvae import WienerFilter
from skvae.utils.workers import run_tasks

#: How often this process has unpickled a `Traveller`.
n_arrivals = 0


class Traveller(WienerFilter):
    """Counts its arrivals, and works for a while on each utterance.

    Its `seconds` say for how long; `weights` make it heavy. The process that is the
    first to create the file `grave` writes its number into it and dies.
    """

    weights = None
    seconds = 0.0
    grave = None

    def __setstate__(self, state):
        global n_arrivals
        n_arrivals += 1
        super().__setstate__(state)

    def _estimate_mask(self, V, rng, state):
        time.sleep(self.seconds)
        if self.grave is not None and not self.grave.exists():
            with contextlib.suppress(FileExistsError), open(self.grave, "x") as file:
                file.write(str(os.getpid()))
                file.flush()
                die()
        return super()._estimate_mask(V, rng, state)


def arrivals():
    """Arrivals since the last time that somebody asked."""
    global n_arrivals
    n, n_arrivals = n_arrivals, 0
    return n


def pid():
    """Number of the process that a task runs in."""
    time.sleep(0.05)
    return os.getpid()


def add(shared, array):
    """Sum of all numbers, and the process that found it."""
    return shared.sum() + array.sum(), pid()


def nested():
    """Processes of tasks that a task starts."""
    return [*run_tasks(pid, 3 * [()])]


def die():
    """What a lack of memory does."""
    os.kill(os.getpid(), signal.SIGKILL)
