"""Imports run one way, and heavy packages are loaded only when needed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import skvae
from skvae.cli.main import VERBS

PACKAGE = Path(skvae.__file__).parent

# A module may import from its own layer and from those above it in this table.
LAYERS = [
    {"_version"},
    {"utils"},
    {"formats"},
    {"metrics"},
    {"signal"},
    {"datasets"},
    {"estimator"},
    {"base", "enhancement", "collection"},
    {"training"},
    {"classical", "factorization", "masks"},
    {"speech"},
    {"vaenmf"},
    {"evaluation"},
    {"storage"},
    {"recordings", "recording_files", "recording_writer", "plot"},
    {"arrays"},
    {"cli", "__main__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

# Public names, which the package imports on first use.
PUBLIC = dict(skvae._EXPORTS)

HEAVY = ("torch", "librosa", "pandas", "matplotlib")


def unit(module: str) -> str:
    """Part of the package: signal for skvae.signal.framing."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, module: str, is_package: bool) -> list[tuple[int, str]]:
    """Lines and modules of all imports of skvae, also those inside functions."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                base = module.split(".")
                base = base[: len(base) - node.level + is_package]
                source = ".".join([*base, source]).rstrip(".")
            for alias in node.names:
                public = PUBLIC.get(alias.name) if source == "skvae" else None
                full = public or (
                    f"skvae.{alias.name}" if source == "skvae" else source
                )
                found.append((node.lineno, full))
    return [(line, name) for line, name in found if name.split(".")[0] == "skvae"]


def is_type_checking(node: ast.stmt) -> bool:
    """Whether a statement is ``if TYPE_CHECKING``, which no interpreter enters."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    rank = RANK[unit(module)]
    return [
        f"{module}:{line} imports {name}"
        for line, name in imported(ast.parse(source), module, is_package)
        if unit(name) not in ("", "__version__") and RANK[unit(name)] > rank
    ]


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_one_way(path):
    module = name_of(path)
    if module == "skvae":  # it imports the others only for type checkers
        tree = ast.parse(path.read_text("utf-8"))
        tree.body = [node for node in tree.body if not is_type_checking(node)]
        assert [name for _, name in imported(tree, module, True)] == ["skvae._version"]
        return
    assert unit(module) in RANK, f"say in LAYERS where {module} belongs"
    source = path.read_text(encoding="utf-8")
    assert not violations(source, module, path.name == "__init__.py")


@pytest.mark.parametrize(
    "source",
    [
        "import skvae.base",
        "from skvae.base import BaseEnhancer",
        "from skvae import BaseEnhancer",
        "from skvae import base",
        "from ..base import BaseEnhancer",
        "from .. import base",
        "def f():\n    from skvae.datasets import make_noise",
        "if TYPE_CHECKING:\n    from skvae.signal.stft import STFT",
    ],
)
def test_an_import_the_wrong_way_is_found(source):
    assert violations(source, "skvae.utils.files")


@pytest.mark.parametrize(
    "source",
    [
        "import numpy",
        "from skvae.utils.random import draw_seed",
        "from .device import as_tensor",
        "from . import device",
        "from skvae._version import __version__",
    ],
)
def test_an_import_the_right_way_passes(source):
    assert not violations(source, "skvae.utils.files")


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after some lines."""
    environment = {k: v for k, v in os.environ.items() if k != "SCIPY_ARRAY_API"}
    script = f"{code}\nimport sys\nprint('loaded', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_next_to_nothing():
    loaded = loaded_after("import skvae")
    assert not loaded & {*HEAVY, "numpy", "scipy", "sklearn", "joblib", "soundfile"}
    assert {name for name in loaded if name.startswith("skvae")} == {
        "skvae",
        "skvae._version",
    }


@pytest.mark.parametrize("name", ["SpectralSubtraction", "WienerFilter", "LogMMSE"])
def test_classical_methods_load_nothing_heavy_from_end_to_end(name):
    loaded = loaded_after(
        "import numpy as np\n"
        f"from skvae import {name}\n"
        "x = [np.random.default_rng(0).standard_normal(20_000)]\n"
        f"enhancer = {name}().fit(x)\n"
        "enhancer.transform(x), enhancer.separate(x), enhancer.score(x, x)\n"
        "list(enhancer.enhance_blocks(x))"
    )
    assert not loaded & {"torch", "librosa", "matplotlib"}
    # Each of these takes longer to load than a recording to enhance.
    assert not loaded & {"scipy.signal", "pesq", "pystoi", "soxr"}


@pytest.mark.parametrize("verb", VERBS)
def test_help_loads_nothing_that_takes_time(verb):
    loaded = loaded_after(
        "from skvae.cli import main\n"
        f"try:\n    main([{verb!r}, '--help'])\nexcept SystemExit:\n    pass"
    )
    assert f"skvae.cli.parsers.{verb}" in loaded
    assert not loaded & {*HEAVY, "numpy", "scipy", "sklearn", "joblib", "soundfile"}


@pytest.mark.parametrize(
    ("model", "unwanted"),
    [
        ("wiener", {"torch", "scipy.signal", "pystoi", "skvae.evaluation"}),
        # PyTorch imports sympy on some calls, which takes a second.
        ("best", {"sympy", "torch._dynamo", "torch._inductor", "skvae.evaluation"}),
    ],
)
def test_enhance_loads_only_what_the_model_needs(model, unwanted, tmp_path):
    noise = np.random.default_rng(0).standard_normal(8000) / 10
    soundfile.write(tmp_path / "noisy.wav", noise, 16000)
    words = ["enhance", f"{tmp_path}/noisy.wav", "-o", f"{tmp_path}/out.wav"]
    loaded = loaded_after(
        f"from skvae.cli import main\nmain({[*words, '--model', model]})"
    )
    assert (tmp_path / "out.wav").exists()
    assert not loaded & {*unwanted, "librosa", "matplotlib"}


def test_only_tables_need_pandas():
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "import numpy as np\n"
        "from skvae import WienerFilter, compare, evaluate, summarize\n"
        "from skvae import make_enhancement_scorer\n"
        "from skvae.cli import main\n"
        "x = [np.random.default_rng(0).standard_normal(20_000)]\n"
        "enhancer = WienerFilter().fit(x)\n"
        "enhancer.score(x, x), make_enhancement_scorer('sdr')(enhancer, x, x)\n"
        "for call in (lambda: evaluate(enhancer, x, x, 'sdr'), lambda: summarize(x),\n"
        "             lambda: compare(x, x)):\n"
        "    try:\n        call()\n"
        "    except ImportError as error:\n"
        "        assert 'pip install \"skvae[evaluate]\"' in str(error)\n"
        "    else:\n        raise AssertionError\n"
        "assert main(['models']) == 0\n"
        "assert main(['evaluate', '--clean', 'c', '--noisy', 'n']) == 1"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'pip install "skvae[evaluate]"' in done.stderr


def test_every_public_name_is_there():
    for name in skvae.__all__:
        assert getattr(skvae, name) is not None
        assert name in dir(skvae)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        skvae.nothing  # noqa: B018
