"""The page on the architecture names files, classes, functions and tests that exist."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from functools import cache
from pathlib import Path

import pytest
from test_imports import LAYERS

import skvae
from skvae.metrics import METRICS
from skvae.storage.classes import public_classes

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "doc" / "architecture.rst").read_text(encoding="utf-8")
PICTURES = ROOT / "doc" / "_ext" / "architecture_pictures.py"


def section(heading: str, underline: str = "-") -> str:
    """Text of a section of the page."""
    below = PAGE.split(f"\n{heading}\n{underline * len(heading)}\n", 1)[1]
    return re.split(r"\n.+\n-{3,}\n", below, maxsplit=1)[0]


def table(text: str) -> list[list[str]]:
    """Cells of the rows of the first list table of a text, without the head."""
    rows: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("   * - "):
            rows.append([line[7:]])
        elif rows and line.startswith("     - "):
            rows[-1].append(line[7:])
        elif rows and line.startswith("       "):
            rows[-1][-1] += f" {line.strip()}"
        elif rows and line:
            break
    return rows[1:]


def code(cell: str) -> list[str]:
    return re.findall(r"``([^`]+)``", cell)


@cache
def defined(path: Path) -> set[str]:
    """Names of the classes, functions, methods and constants of a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {t.id for t in targets if isinstance(t, ast.Name)}
    return found


def methods() -> dict[str, tuple[Path, str, list[Path]]]:
    """File, equations and tests of each row of the tables of the methods."""
    found = {}
    for family in section("Methods").split("Files in ")[1:]:
        source, tests = (ROOT / folder for folder in code(family)[:2])
        for name, file, equations, checks in table(family):
            name = re.match(r":(?:class|func):`(?:~[\w.]+\.)?(\w+)`", name)[1]
            [file] = code(file)
            found[name] = source / file, equations, [tests / t for t in code(checks)]
    return found


METHODS = methods()


def test_the_table_of_layers_is_the_one_that_imports_follow():
    told = [
        {name.rstrip("/").removesuffix(".py") for name in code(layer)}
        for layer, _ in table(section("Layers"))
    ]
    assert told == LAYERS


def test_every_public_estimator_and_metric_is_in_the_table():
    metrics = {
        metric.function.__name__
        for metric in METRICS.values()
        if inspect.isfunction(metric.function)
    }
    wanted = {*public_classes(), "BaseEnhancer", *metrics}
    assert wanted <= METHODS.keys(), "add a row to doc/architecture.rst"


@pytest.mark.parametrize("name", METHODS)
def test_a_row_names_the_file_that_defines_it(name):
    file, _, _ = METHODS[name]
    module = skvae if name in skvae._EXPORTS else skvae.metrics
    assert Path(inspect.getfile(getattr(module, name))) == file
    assert name in defined(file)


@pytest.mark.parametrize("name", METHODS)
def test_a_row_names_functions_that_exist(name):
    file, equations, _ = METHODS[name]
    path = None
    for item in code(equations):
        if item.endswith(".py"):
            beside, elsewhere = file.parent / item, ROOT / "skvae" / item
            path = beside if beside.exists() else elsewhere
        elif path is not None:
            assert item in defined(path), f"{path} does not define {item}"


@pytest.mark.parametrize("name", METHODS)
def test_a_row_names_a_test_that_mentions_it(name):
    _, _, tests = METHODS[name]
    texts = [test.read_text(encoding="utf-8") for test in tests]
    assert any(re.search(rf"\b{name}\b", text) for text in texts)


def find(file: str) -> Path:
    found = [p for p in (ROOT / file, ROOT / "skvae" / file) if p.exists()]
    assert found, f"doc/architecture.rst names {file}, which does not exist"
    return found[0]


def test_the_text_names_files_that_exist():
    text = PAGE.replace(section("Methods"), "")
    for file in {name for name in code(text) if name.endswith((".py", ".rst"))}:
        if "NAME" not in file:
            find(file)


def test_the_text_names_functions_of_the_files_beside_them():
    name = r"(?:``|:(?:class|func):`)([\w.]+)`+"
    pairs = re.findall(rf"{name}\s+\(``([\w/]+\.py)``", PAGE)
    assert len(pairs) > 10
    for name, file in pairs:
        assert name.rpartition(".")[2] in defined(find(file)), f"{file}: {name}"


@pytest.fixture(scope="module")
def pictures():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location(PICTURES.stem, PICTURES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_texts_in_the_pictures_fit_into_their_boxes(pictures, tmp_path):
    for name, draw in pictures.PICTURES.items():
        for theme in pictures.THEMES:
            draw(theme).save(tmp_path / f"{name}-{theme}.svg")
            assert f"generated/{name}-{theme}.svg" in PAGE
    picture = pictures.Picture(100, "light")
    picture.box(0, 0, 20, 20, ["too long for its box"])
    with pytest.raises(ValueError, match="'too long for its box' is"):
        picture.save(tmp_path / "too-long.svg")


def test_pictures_name_what_exists():
    found = set()
    for path in (ROOT / "skvae").rglob("*.py"):
        found |= defined(path)
    text = PICTURES.read_text(encoding="utf-8")
    drawn = text[text.index("def draw_parts") : text.index("\nPICTURES")]
    names = re.findall(r'"`([\w.]+)"', drawn)
    assert {"_estimate_mask", "train", "OverlapAdd.push"} <= set(names)
    for name in names:
        assert set(name.split(".")) <= found, name
    for cls in ("SpeechVAE", "NMFNoise", "VEM", "GradientVEM", "MCEM", "MCMC"):
        assert cls in drawn
