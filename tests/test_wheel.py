"""The wheel contains everything that the package needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers import scripts

from skvae.storage.names import recipe_names
from skvae.storage.pretrained import list_models

pytestmark = pytest.mark.slow


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


SCRIPT = """
import json
import skvae
from skvae.cli import main
from skvae.storage.names import recipe_names
print(json.dumps([skvae.__file__, recipe_names()]))
for model in skvae.list_models():
    if model.file is not None:
        print("#", model.name, type(skvae.load_pretrained(model.name)).__name__)
        main(["models", model.name])
"""


def test_models_their_cards_and_recipes_are_in_the_wheel(installed):
    first, *others = run(installed, "-c", SCRIPT).split("\n# ")
    where, names = json.loads(first)
    assert Path(where).parent == installed / "skvae"
    assert names == recipe_names()
    models = {model.name: model for model in list_models() if model.file is not None}
    assert {"best", "vae-nmf"} <= models.keys()
    assert len(others) == len(models)
    for text in others:
        header, _, told = text.partition("\n")
        name, class_name = header.split()
        assert class_name == "VAENMFEnhancer"
        told = "".join(told.split())  # lines are wrapped
        for attribution in models.pop(name).file.card.attributions:
            assert "".join(attribution.split()) in told
