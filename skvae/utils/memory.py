"""Lack of memory, by whatever error it shows."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

#: Texts of NumPy, PyTorch, oneDNN, C++ and the loader of libraries.
_TEXTS = re.compile(
    r"out of memory|not enough memory|(cannot|can't|unable to|could not) allocate"
    r"|alloc_cpu\.cpp|bad_alloc|could not (create|execute) a primitive"
    r"|failed to map segment|error return without exception set"
    r"|without setting an exception",
    re.IGNORECASE,
)

#: Bytes that a process has to spare that did not fail for lack of memory.
_SPARE = 2**26


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what caused it, is a lack of memory.

    Where memory ends in the middle of an import or of the interpreter's own work, the
    error may be of any kind. An unexpected kind counts if little memory is left.

    Parameters
    ----------
    error : BaseException
        The error.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_out_of_memory(MemoryError())
    True
    >>> is_out_of_memory(RuntimeError("could not execute a primitive"))
    True
    >>> is_out_of_memory(ValueError("the file is empty"))
    False
    """
    return any(map(_is_lack, _chain(error))) or (
        isinstance(error, AttributeError | ImportError | SystemError)
        and not _has_memory()
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    seen: set[int] = set()
    next_: BaseException | None = error
    while next_ is not None and id(next_) not in seen:
        seen.add(id(next_))
        yield next_
        next_ = next_.__cause__ or next_.__context__


def _is_lack(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    kinds = RuntimeError | SystemError | ImportError | OSError
    return isinstance(error, MemoryError) or (
        isinstance(error, kinds) and _TEXTS.search(str(error)) is not None
    )


def _has_memory() -> bool:
    try:
        bytearray(_SPARE)
    except MemoryError:
        return False
    return True
