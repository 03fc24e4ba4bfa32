"""Classes that a file may name: those of skvae, and those that its reader names.

A file refers to an estimator of skvae by its public name, ``"WienerFilter"``, and to a
class that is derived from one elsewhere by module and name, ``"gates:Gate"``. The
latter is a label, which is compared with the classes that the reader has named. No
module is imported because a file names it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

import skvae
from skvae.utils.words import shortened

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class Classes:
    """Estimator classes that may stand in a file.

    Parameters
    ----------
    others : iterable of type or str, default=()
        Classes outside skvae that may stand in it, too. A string such as
        ``"package.module:Class"`` is imported.

    Examples
    --------
    >>> Classes().find("WienerFilter")
    <class 'skvae.classical.wiener.WienerFilter'>
    >>> Classes().find("gates:Gate")
    Traceback (most recent call last):
        ...
    ValueError: it has the class 'gates:Gate', which is not part of skvae. ...
    """

    def __init__(self, others: Iterable[type | str] = ()):
        if isinstance(others, str | type):
            others = [others]
        found = [import_class(c) if isinstance(c, str) else c for c in others]
        for cls in found:
            if not isinstance(cls, type) or not extends_skvae(cls):
                raise ValueError(
                    "`classes` must hold classes derived from those of skvae, or "
                    f"strings 'package.module:Class', got {shortened(cls)}."
                )
        self._others = {class_name(cls): cls for cls in found}

    def find(self, name: Any) -> type:
        """Return the class of a name.

        Parameters
        ----------
        name : object
            What a file holds in the place of a class's name. A class that has moved to
            another module is recognized by the last part of its name.

        Returns
        -------
        type

        Raises
        ------
        ValueError
            If it is neither an estimator of skvae nor one of the other classes.
        """
        if isinstance(name, str) and (ours := _public_class(name)) is not None:
            return ours
        if not isinstance(name, str) or ":" not in name:
            raise ValueError(
                f"it has the class {shortened(name)}, which is no estimator of skvae."
            )
        if name in self._others:
            return self._others[name]
        last = name.rpartition(":")[2].rpartition(".")[2]
        same = [cls for cls in self._others.values() if cls.__name__ == last]
        if len(same) != 1:
            raise ValueError(
                f"it has the class {shortened(name)}, which is not part of skvae. If "
                f"you trust that class, pass it: classes=[{shortened(last)[1:-1]}] in "
                f"Python, --allow-class {shortened(name)[1:-1]} on the command line."
            )
        return same[0]


def class_name(cls: type) -> str:
    """Return the name by which files refer to a class.

    Parameters
    ----------
    cls : type
        An estimator class.

    Returns
    -------
    str

    Examples
    --------
    >>> from skvae import LogMMSE
    >>> class Gate(LogMMSE):
    ...     __module__ = "gates"
    >>> class_name(LogMMSE), class_name(Gate)
    ('LogMMSE', 'gates:Gate')
    """
    name = cls.__name__
    return name if is_public(cls) else f"{cls.__module__}:{cls.__qualname__}"


def is_class_name(name: Any) -> bool:
    r"""Whether a string has the form ``package.module:Class``.

    Parameters
    ----------
    name : object
        For instance an argument of the command line.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_class_name("gates:Gate"), is_class_name(r"C:\models\best.safetensors")
    (True, False)
    """
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def import_class(name: str) -> type:
    """Import a class that a person has named. Never call it with what a file says.

    Parameters
    ----------
    name : str
        ``package.module:Class``, the module being importable.

    Returns
    -------
    type
        An estimator class derived from one of skvae.

    Raises
    ------
    ValueError
        If there is no such class.

    Examples
    --------
    >>> import_class("skvae.classical.wiener:WienerFilter")
    <class 'skvae.classical.wiener.WienerFilter'>
    """
    if not is_class_name(name):
        raise ValueError(
            f"{name!r} must have the form package.module:Class, such as gates:Gate."
        )
    module, _, last = name.partition(":")
    try:
        found = getattr(import_module(module), last)
    except Exception as error:  # a module may fail in any way while it is imported
        raise ValueError(
            f"{name} cannot be imported ({type(error).__name__}: {error}): install the "
            "package that it belongs to, or check the name."
        ) from error
    if not isinstance(found, type) or not extends_skvae(found):
        raise ValueError(
            f"{name} must be a class derived from one of skvae, such as BaseEnhancer, "
            f"got {shortened(found)}."
        )
    return found


def is_public(cls: type) -> bool:
    """Whether a class is an estimator of skvae's public interface.

    Parameters
    ----------
    cls : type
        Any class.

    Returns
    -------
    bool

    Examples
    --------
    >>> from skvae import BaseEnhancer, LogMMSE
    >>> is_public(LogMMSE), is_public(BaseEnhancer)
    (True, False)
    """
    return _public_class(cls.__name__) is cls


def extends_skvae(cls: type) -> bool:
    """Whether a class is an estimator of skvae, or derived from one.

    Parameters
    ----------
    cls : type
        Any class.

    Returns
    -------
    bool

    Examples
    --------
    >>> from sklearn.pipeline import Pipeline
    >>> from skvae import LogMMSE
    >>> extends_skvae(LogMMSE), extends_skvae(Pipeline)
    (True, False)
    """
    return issubclass(cls, BaseEstimator) and any(
        base.__module__.partition(".")[0] == "skvae" for base in cls.__mro__
    )


def public_classes() -> list[str]:
    """List the names of skvae's estimator classes, importing all of them.

    Returns
    -------
    list of str

    Examples
    --------
    >>> "WienerFilter" in public_classes()
    True
    """
    return [name for name in skvae._EXPORTS if _public_class(name) is not None]


def other_classes(estimator: Any) -> list[type]:
    """List the classes outside skvae in an estimator: its own and those of its parts.

    Parameters
    ----------
    estimator : estimator
        Any.

    Returns
    -------
    list of type

    Examples
    --------
    >>> from skvae import LogMMSE
    >>> other_classes(LogMMSE())
    []
    """
    return list(dict.fromkeys(_others(estimator)))


def _others(estimator: Any) -> Iterator[type]:
    if not isinstance(estimator, BaseEstimator):
        return
    if not isinstance(estimator, FrozenEstimator) and not is_public(type(estimator)):
        yield type(estimator)
    for value in vars(estimator).values():
        yield from _others(value)


def _public_class(name: str) -> type | None:
    module = skvae._EXPORTS.get(name)
    if module is None or not name[0].isupper():
        return None
    found = getattr(import_module(module), name)
    is_estimator = isinstance(found, type) and issubclass(found, BaseEstimator)
    return found if is_estimator and not inspect.isabstract(found) else None
