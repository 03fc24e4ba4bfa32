"""Progress reports: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

_BAR_WIDTH = 24


class Progress:
    """Counter of finished items that reports on a stream.

    On a terminal, one line is redrawn for every item. Elsewhere, a line is written
    after every tenth of the work.

    Parameters
    ----------
    total : int
        Number of items.
    label : str
        Name of the work, shown in every report.
    stream : text file, default=None
        Stream to write to. None means standard error.
    enabled : bool, default=True
        Whether anything is written.

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
    ):
        self.total = total
        self.label = label
        self.stream: Any = sys.stderr if stream is None else stream
        # A process without a terminal may have no standard error.
        self.enabled = enabled and self.stream is not None
        self.done = 0
        self._begin = time.monotonic()
        self._on_terminal = self.enabled and self.stream.isatty()

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
            self.stream.write(line + "\n")
        elif self.done * 10 // self.total > (self.done - 1) * 10 // self.total:
            self.stream.write(self._summary() + "\n")
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
