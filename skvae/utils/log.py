"""Messages of `verbose`: the logger "skvae", which prints on standard error.

``logging.getLogger("skvae").setLevel("WARNING")`` silences it. A handler of that
logger, or a handler of the root logger that prints, takes the place of the default.
"""

from __future__ import annotations

import logging
import sys


class ConsoleHandler(logging.Handler):
    """Prints messages on standard error, unless the user has routed them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        if sys.stderr is None or is_routed():
            return
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


def is_routed() -> bool:
    """Whether the user has a handler that takes the messages.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_routed()
    False
    """
    if any(not isinstance(handler, ConsoleHandler) for handler in LOGGER.handlers):
        return True
    consoles = (sys.stderr, sys.stdout, sys.__stderr__, sys.__stdout__)
    streams = [getattr(handler, "stream", None) for handler in logging.root.handlers]
    return LOGGER.propagate and any(
        stream is not None and stream in consoles for stream in streams
    )


#: Logger of the package.
LOGGER = logging.getLogger("skvae")

if LOGGER.level == logging.NOTSET:
    LOGGER.setLevel(logging.INFO)
if not any(isinstance(handler, ConsoleHandler) for handler in LOGGER.handlers):
    LOGGER.addHandler(ConsoleHandler())
