"""The gallery: what can be told of its pages without running them.

They are run where the documentation is built.
"""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

import skvae

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))

#: Beginnings of paths that exist on one machine, or on one kind of machine.
PLACES = re.compile(r"(?<![\w.])(/(home|tmp|work|Users|root|mnt|data)\b|~/|[A-Z]:\\)")


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def test_there_are_examples_and_a_header():
    assert len(EXAMPLES) >= 11
    assert (
        (FOLDER / "README.rst").read_text(encoding="utf-8").startswith("Examples\n===")
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_a_place_a_title_and_an_introduction(path):
    assert re.fullmatch(r"plot_\d\d_[a-z_]+", path.stem)
    title, line, blank, introduction = ast.get_docstring(tree_of(path)).split("\n", 3)
    assert line == "=" * len(title)
    assert not blank and introduction.strip()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_names_no_place_of_a_machine(path):
    assert not PLACES.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", ["/home/me/a.wav", 'open("/tmp/x")', "C:\\a", "~/a"])
def test_a_place_would_be_found(text):
    assert PLACES.search(text)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_headings_are_underlined_to_their_ends(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    for before, line in pairwise(lines):
        if re.fullmatch(r"# -{4,}", line):
            assert len(line) == len(before)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_draws_from_generators_of_its_own(path):
    """No global one, and no speech or noise without a seed: pages stay as they are."""
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        assert not name.startswith(("np.random.rand", "np.random.seed", "random."))
        if name in ("make_speech", "make_noise", "make_dataset"):
            given = {keyword.arg for keyword in node.keywords}
            assert "random_state" in given, f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_what_an_example_imports_of_the_package_is_there(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("skvae"):
            module = __import__(node.module, fromlist=["*"])
            missing = [a.name for a in node.names if not hasattr(module, a.name)]
            assert not missing, f"{node.module} has no {missing}"


def test_every_estimator_of_the_table_of_methods_is_in_the_gallery():
    text = "".join(path.read_text(encoding="utf-8") for path in EXAMPLES)
    methods = (
        "SpectralSubtraction WienerFilter LogMMSE ISNMF RPCA VAENMFEnhancer DNNMask "
        "BiLSTMMask DnVAENMFEnhancer SpeechVAE DenoisingVAE"
    )
    assert [name for name in methods.split() if f"{name}(" not in text] == []
    assert set(methods.split()) <= set(skvae.__all__)
