"""Public docstrings are complete: numpydoc's validation, and what it does not know."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Iterator

import pytest

import skvae

numpydoc_validate = pytest.importorskip("numpydoc.validate")

#: Modules whose `__all__` is public beside that of the package.
MODULES = ("skvae", "skvae.datasets", "skvae.metrics", "skvae.plot")

#: Rules of numpydoc that are not ours.
NOT_OURS = {
    "ES01": "a summary of one line may say it all",
    "SS05": "what a method returns is named by a noun, which may end in s",
}
#: Rules for public objects that their methods need not follow.
NOT_FOR_METHODS = {
    "EX01": "the example of the class shows its methods",
    "SA01": "the neighbours of a method stand beside it",
}
#: Rules that an object cannot follow.
CANNOT = {
    ("skvae.BaseEnhancer", "PR02"): "its parameters are those of its subclasses",
    **{
        (name, "PR01"): "the fields of a record stand under Attributes"
        for name in ("skvae.MaskEstimate", "skvae.Separation")
    },
}


def public_names() -> Iterator[str]:
    """Yield the public classes and functions, each by one name."""
    seen = set()
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            value = getattr(importlib.import_module(module), name)
            is_documented = inspect.isclass(value) or inspect.isfunction(value)
            if is_documented and id(value) not in seen:
                seen.add(id(value))
                yield f"{module}.{name}"


def public_methods(name: str) -> Iterator[str]:
    """Yield the public methods and properties of a class that are the package's own."""
    cls = load(name)
    for key in dir(cls) if inspect.isclass(cls) else ():
        value = inspect.getattr_static(cls, key)
        function = getattr(value, "fget", None) or getattr(value, "__func__", value)
        module = getattr(function, "__module__", None) or ""
        is_own = module.startswith("skvae") and inspect.isfunction(function)
        if is_own and not key.startswith("_"):
            yield f"{name}.{key}"


def load(name: str) -> object:
    module, _, key = name.rpartition(".")
    return getattr(importlib.import_module(module), key)


def complaints(name: str, ignored: dict[str, str]) -> list[str]:
    found = numpydoc_validate.validate(name)["errors"]
    return [
        f"{name}: {code} {message}"
        for code, message in found
        if code not in ignored and (name, code) not in CANNOT
    ]


NAMES = sorted(public_names())
CLASSES = [name for name in NAMES if inspect.isclass(load(name))]


@pytest.mark.parametrize("name", NAMES)
def test_public_objects_have_complete_docstrings(name):
    assert not complaints(name, NOT_OURS)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if inspect.isclass(load(name))]
)
def test_public_methods_have_complete_docstrings(name):
    ignored = NOT_OURS | NOT_FOR_METHODS
    for method in public_methods(name):
        assert not complaints(method, ignored)


@pytest.mark.parametrize("name", ["skvae.Separation", "skvae.MaskEstimate"])
def test_the_fields_of_records_are_documented_as_attributes(name):
    attributes = numpydoc_validate.Validator(
        numpydoc_validate.get_doc_object(load(name))
    ).doc["Attributes"]
    fields = [field.name for field in dataclasses.fields(load(name))]
    assert [attribute.name for attribute in attributes] == fields


def test_every_public_object_is_looked_at():
    assert len(NAMES) > len(skvae.__all__)
    assert {"skvae.VAENMFEnhancer", "skvae.metrics.si_sdr"} <= set(NAMES)
    assert "skvae.VAENMFEnhancer.separate" in public_methods("skvae.VAENMFEnhancer")


def test_an_incomplete_docstring_is_found(monkeypatch):
    monkeypatch.setattr(skvae.LogMMSE, "__doc__", "Lacks all but a summary.")
    found = " ".join(complaints("skvae.LogMMSE", NOT_OURS))
    assert "PR01" in found and "EX01" in found and "SA01" in found


@pytest.mark.parametrize("name, code", CANNOT)
def test_no_exclusion_is_left_over(name, code):
    assert code in [code for code, _ in numpydoc_validate.validate(name)["errors"]]
