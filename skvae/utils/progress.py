"""Progress reports: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, TextIO

from skvae.utils.log import LOGGER, is_routed

_BAR_WIDTH = 24


class Progress:
    """Counter of finished items that reports on a stream or to the logger "skvae".

    On a terminal, one line is redrawn for every item. Elsewhere, a line is written
    after every tenth of the work.

    Parameters
    ----------
    total : int
        Number of items.
    label : str
        Name of the work, shown in every report.
    stream : text file, default=None
        Stream to write to. None means the logger, which prints on standard error unless
        it was routed elsewhere.
    enabled : bool, default=True
        Whether anything is written.
    pause : float, default=None
        Minimum seconds between two lines where there is no terminal, in place of a line
        after every tenth. None means tenths.

    Examples
    --------
    >>> import io
    >>> stream = io.StringIO()
    >>> with Progress(2, "enhancing", stream) as progress:
    ...     progress.advance()
    ...     progress.advance()
    >>> stream.getvalue().splitlines()[-1]
    'enhancing: 2/2, 0 s'
    """

    def __init__(
        self,
        total: int,
        label: str,
        stream: TextIO | None = None,
        *,
        enabled: bool = True,
        pause: float | None = None,
    ):
        self.total = total
        self.label = label
        self.pause = pause
        self.done = 0
        self.enabled = enabled
        self._logs = stream is None
        self._begin = self._told = time.monotonic()
        self.stream: Any = sys.stderr if stream is None else stream
        routed = self._logs and is_routed()
        if self._logs:
            self.enabled = enabled and LOGGER.isEnabledFor(logging.INFO)
        # A process without a terminal may have no standard error.
        self.enabled = self.enabled and (routed or self.stream is not None)
        self._on_terminal = self.enabled and not routed and self.stream.isatty()

    def __enter__(self) -> Progress:
        if self.enabled and self._on_terminal:
            self._draw()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.enabled and self._on_terminal:
            self.stream.write("\n")
            self.stream.flush()

    def advance(self, line: str | None = None) -> None:
        """Count one more item.

        Parameters
        ----------
        line : str, default=None
            Text about the item. On a terminal it appears above the bar, elsewhere in
            place of the count. None means no text.
        """
        self.done += 1
        if not self.enabled:
            return
        if self._on_terminal:
            if line is not None:
                self.stream.write(f"\r\x1b[K{line}\n")
            self._draw()
        elif line is not None:
            self._write(line)
        elif self._is_due():
            self._write(self._summary())

    def _is_due(self) -> bool:
        """Whether it is time for a line."""
        if self.pause is None:
            return self.done * 10 // self.total > (self.done - 1) * 10 // self.total
        now = time.monotonic()
        if now - self._told < self.pause or self.done == self.total:
            return False
        self._told = now
        return True

    def _write(self, line: str) -> None:
        if self._logs:
            LOGGER.info(line)
            return
        self.stream.write(line + "\n")
        self.stream.flush()

    def _summary(self) -> str:
        elapsed = time.monotonic() - self._begin
        text = f"{self.label}: {self.done}/{self.total}, {elapsed:.0f} s"
        if 0 < self.done < self.total:
            left = elapsed * (self.total - self.done) / self.done
            text += f", {left:.0f} s left"
        return text

    def _draw(self) -> None:
        filled = _BAR_WIDTH * self.done // max(1, self.total)
        bar = "█" * filled + "░" * (_BAR_WIDTH - filled)
        self.stream.write(f"\r\x1b[K{bar} {self._summary()}")
        self.stream.flush()
