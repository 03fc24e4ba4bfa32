"""A dask cluster: a connection that ends in time, and a look at what has become of it.

This module is imported only where dask is used.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from distributed import Client, Security
from distributed.comm.addressing import get_address_host
from distributed.comm.core import CommClosedError
from distributed.core import rpc

from skvae._version import __version__

#: Seconds for which a cluster may have no worker before work on it ends. A worker that
#: died is started again within this time.
PATIENCE = 60.0

#: What dask raises when the connection to its scheduler is lost.
LOST = (CancelledError, CommClosedError)

_RESUME = "run the same command again to resume"


class Watch:
    """A look at a cluster from which no result comes.

    Parameters
    ----------
    address : str
        Address of the scheduler.
    timeout : float
        Seconds that the scheduler has to answer.
    """

    def __init__(self, address: str, timeout: float):
        self.address = address
        self.timeout = timeout
        self._seen = time.monotonic()

    def identity(self) -> dict[str, Any]:
        """Ask the scheduler what it is, over a connection of its own.

        Returns
        -------
        dict
            Facts about the scheduler, with its `workers`.

        Raises
        ------
        Exception
            If it does not answer in time, or not as a scheduler does.
        """

        async def ask() -> dict[str, Any]:
            security = Security().get_connection_args("client")
            async with rpc(self.address, connection_args=security) as scheduler:
                found: dict[str, Any] = await scheduler.identity()
            return found

        async def ask_in_time() -> dict[str, Any]:
            return await asyncio.wait_for(ask(), self.timeout)

        # The caller's thread may have an event loop, as in a notebook.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(ask_in_time())).result()

    def check(self) -> None:
        """Raise an error if the scheduler is lost, or all workers for a long time.

        Raises
        ------
        ConnectionError
            If nothing can be expected any more.
        """
        try:
            found = self.identity()
        except Exception as error:
            raise self.lost() from error
        now = time.monotonic()
        if found["workers"]:
            self._seen = now
        elif now - self._seen > PATIENCE:
            raise ConnectionError(
                f"the dask scheduler at {self.address!r} has had no worker for "
                f"{PATIENCE:g} s: see what the workers logged, start new ones, and "
                f"{_RESUME}."
            )

    def lost(self) -> ConnectionError:
        """Return the error of a scheduler that is gone."""
        return ConnectionError(
            f"the dask scheduler at {self.address!r} was lost: start it again, with "
            f"workers, and {_RESUME}."
        )


@contextmanager
def connected(address: str, timeout: float) -> Iterator[tuple[Client, Watch]]:
    """Connect to the scheduler at an address, and to a worker of this version.

    Parameters
    ----------
    address : str
        Address of dask's scheduler.
    timeout : float
        Seconds to wait for the scheduler, and then for its first worker.

    Yields
    ------
    client : Client
        Client of the scheduler.
    watch : Watch
        A look at it.

    Raises
    ------
    ConnectionError
        If the scheduler does not answer, has no worker, or has a worker with another
        version of skvae or without it.
    """
    watch = Watch(address, timeout)
    try:
        get_address_host(address)
        # A client would wait for ever for what accepts a connection and says nothing.
        found = watch.identity()
        if found.get("type") != "Scheduler":
            raise ValueError(f"it is a {found.get('type')}")
    except Exception as error:  # of any kind, for something else may answer
        reason = f" ({error})" if str(error) else ""
        raise ConnectionError(
            f"no dask scheduler answers at {address!r} within {timeout:g} s{reason}: "
            "start one with `dask scheduler` and pass the address that it prints."
        ) from error
    with _quiet():
        client = Client(address, timeout=timeout, set_as_default=False)
        try:
            try:
                client.wait_for_workers(1, timeout=timeout)
            except TimeoutError as error:
                raise ConnectionError(
                    f"the dask scheduler at {address!r} has no worker after "
                    f"{timeout:g} s: start one with `dask worker {address}`."
                ) from error
            _check_versions(client)
            yield client, watch
        finally:
            with suppress(Exception):  # a scheduler that is gone hears no farewell
                client.close(timeout=timeout)


def _check_versions(client: Client) -> None:
    """Raise an error if a worker has another version of skvae."""

    # A nested function travels with its code, so that it needs nothing there.
    def version() -> str:
        import skvae

        return skvae.__version__

    for worker, found in client.run(version, on_error="return").items():
        if isinstance(found, BaseException):
            raise ConnectionError(
                f"the dask worker at {worker!r} cannot import skvae "
                f"({type(found).__name__}: {found}): install skvae {__version__} there."
            )
        if found != __version__:
            raise ConnectionError(
                f"the dask worker at {worker!r} has skvae {found}, but this is skvae "
                f"{__version__}: install the same version there."
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence dask's own reports of lost connections, which have tracebacks."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
