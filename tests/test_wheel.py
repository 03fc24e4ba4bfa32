"""The wheel contains everything that the package needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers import scripts

from skvae.storage.pretrained import list_models
from skvae.storage.recipe_files import recipe_names


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A wheel of what the repository tracks, built and unpacked."""
    try:
        tracked = subprocess.run(
            ["git", "ls-files", "-z"], cwd=scripts.ROOT, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("asks git what belongs to the package")
    copy = tmp_path_factory.mktemp("copy")
    for name in os.fsdecode(tracked).split("\0"):
        source = scripts.ROOT / name
        if source.is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy / name)
    build = "import sys, setuptools.build_meta as b; b.build_wheel(sys.argv[1])"
    out = tmp_path_factory.mktemp("wheels")
    subprocess.run(
        [sys.executable, "-c", build, out], cwd=copy, capture_output=True, check=True
    )
    [wheel] = out.glob("skvae-*-py3-none-any.whl")
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


def run(installed, *words):
    """Run Python with the unpacked wheel before all other packages."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=installed.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_the_wheel_holds_the_package_and_nothing_else(installed):
    tops = {path.name for path in installed.iterdir()}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"skvae"}
    assert (installed / "skvae/py.typed").exists()
    assert list(installed.glob("skvae-*.dist-info/licenses/LICENSE"))


def test_models_their_cards_and_recipes_are_in_the_wheel(installed):
    where = run(installed, "-c", "import skvae; print(skvae.__file__)").strip()
    assert Path(where).parent == installed / "skvae"
    names = run(
        installed,
        "-c",
        "from skvae.storage.recipe_files import recipe_names; print(*recipe_names())",
    )
    assert names.split() == recipe_names()
    models = [model for model in list_models() if model.file is not None]
    assert {"best", "vae-nmf"} <= {model.name for model in models}
    for model in models:
        lines = run(installed, "-m", "skvae", "models", model.name)
        told = "".join(lines.split())  # lines are wrapped
        for attribution in model.file.card.attributions:
            assert "".join(attribution.split()) in told
        code = (
            f"import skvae; print(type(skvae.load_pretrained({model.name!r})).__name__)"
        )
        assert run(installed, "-c", code).strip() == "VAENMFEnhancer"
