"""Types of public names: mypy checks a program that uses the package."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest

import skvae
from skvae.storage import pretrained

CLIENT = '''\
"""A program that uses the package."""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skvae import (
    STFT, AudioFile, BaseEnhancer, LogMMSE, Spectrogram, enhance_file, load_pretrained,
)


def loudest(recordings: list[NDArray[np.float32]], limit: float) -> float:
    enhancer = LogMMSE(attenuation_limit=limit).fit(recordings)
    enhanced = enhancer.transform(recordings)
    return max(float(np.abs(x).max()) for x in enhanced)


def enhance_folder(folder: Path, model: BaseEnhancer) -> float:
    return sum(enhance_file(model, path, folder / "out") for path in folder.iterdir())


best = load_pretrained("best", attenuation_limit=12)
seconds: float = enhance_folder(Path("recordings"), best)
seconds += enhance_file("best", BytesIO(b"RIFF"), BytesIO(), format="mp3", bitrate=96)
rows: NDArray[np.float64] = np.zeros((2, 16000))
same_rows: NDArray[np.float64] = best.transform(rows)
files = [AudioFile("one.wav"), AudioFile("two.wav")]
score: float = best.fit(files).score(files, [np.zeros(8)])
spectrograms: list[Spectrogram] = STFT(n_fft=512).transform(files)
filtered: list[Spectrogram] = best.transform(spectrograms)
masks = [separation.mask for separation in best.separate(files)]
'''

#: Text of the program, its wrong replacement, and the error that mypy must report.
MISTAKES = {
    "keyword": ("attenuation_limit=limit", "attenuation_limt=limit", "call-arg"),
    "type of a parameter": ("limit: float", "limit: str", "arg-type"),
    "text for utterances": ("transform(recordings)", 'transform("a.wav")', "arg-type"),
    "one waveform": ("best.separate(files)", "best.separate(0.5)", "arg-type"),
    "kind of the result": ("same_rows: NDArray[np.float64]", "same: int", "assignment"),
    "enhancer of a file": ("enhance_file(model", "enhance_file(1", "arg-type"),
    "format of a file": ('format="mp3"', 'format="mp4"', "arg-type"),
    "name": ("STFT, AudioFile", "STTF, STFT, AudioFile", "attr-defined"),
}


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """Lines that mypy --strict prints for each program, found in one run."""
    if find_spec("mypy") is None:
        pytest.skip("asks mypy")
    folder = tmp_path_factory.mktemp("clients")
    names = {"right": CLIENT}
    for name, (before, after, _) in MISTAKES.items():
        assert CLIENT.count(before) == 1
        names[name] = CLIENT.replace(before, after)
    for k, program in enumerate(names.values()):
        (folder / f"client{k}.py").write_text(program)
    # These packages are skipped, since checking them takes a minute.
    config = "".join(
        f"[mypy-{name}.*]\nfollow_imports = skip\n"
        for name in ("torch", "scipy", "pandas", "matplotlib")
    )
    (folder / "mypy.ini").write_text(f"[mypy]\n{config}")
    environment = {**os.environ, "MYPYPATH": str(Path(skvae.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "."],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert not done.stderr
    lines = done.stdout.splitlines()
    return {
        name: [line for line in lines if line.startswith(f"client{k}.py:")]
        for k, name in enumerate(names)
    }


def test_a_program_that_uses_the_package_is_typed(errors):
    assert errors["right"] == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_it_is_found(mistake, errors):
    assert errors[mistake]
    assert any(f"[{MISTAKES[mistake][2]}]" in line for line in errors[mistake])


def test_names_of_models_are_those_of_the_package():
    assert list(get_args(pretrained.Name)) == pretrained.model_names()


def test_typed_imports_and_lazy_ones_are_the_same():
    tree = ast.parse(Path(skvae.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname is not None
    }
    assert typed == skvae._EXPORTS
