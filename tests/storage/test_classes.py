"""Estimators of other packages: saved, loaded, and used only with consent."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from helpers.strangers import (
    Forgetful,
    Gate,
    PatientVEM,
    QuietNoise,
    SpectrumGate,
    WienerFilter,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge

import skvae
from skvae import DNNMask, VAENMFEnhancer, load_pretrained, save_pretrained
from skvae.datasets import make_dataset
from skvae.storage.classes import Classes, class_name, import_class, other_classes
from skvae.storage.estimators import check_parameters, describe, rebuild
from skvae.storage.model_files import read_summary
from skvae.storage.pretrained import find_model_file, has_own_rate
from skvae.storage.recipe_files import read_recipe

GATE = "helpers.strangers:Gate"
SPECTRUM = "helpers.strangers:SpectrumGate"


@pytest.fixture(scope="module")
def pairs():
    return make_dataset(2, (0.15, 0.2), snr=0, random_state=0)


@pytest.fixture
def saved(pairs, tmp_path):
    """A fitted gate with another gate as a part, and its file."""
    gate = SpectrumGate(3.0, FrozenEstimator(Gate(2.0).fit(pairs[0])), random_state=0)
    path = tmp_path / "gate.safetensors"
    save_pretrained(gate.fit(*pairs), path)
    return gate, path


def assert_same(one, other, pairs):
    assert type(one) is type(other)
    for x, y in zip(one.transform(pairs[0]), other.transform(pairs[0]), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    "classes", [[Gate, SpectrumGate], [GATE, SPECTRUM], (Gate, SPECTRUM)]
)
def test_an_estimator_of_another_package_is_saved_and_loaded(classes, saved, pairs):
    gate, path = saved
    assert read_summary(path).estimator == SPECTRUM
    loaded = load_pretrained(path, classes=classes, attenuation_limit=None)
    assert_same(gate, loaded, pairs)
    assert loaded.loudest_ == gate.loudest_
    assert type(loaded.other_.estimator) is Gate
    assert loaded.other_ is loaded.other


@pytest.mark.parametrize(
    ("classes", "wanted"), [([], SPECTRUM), ([SpectrumGate], GATE), (SPECTRUM, GATE)]
)
def test_no_class_is_used_that_the_reader_has_not_named(classes, wanted, saved):
    last = wanted.rpartition(":")[2]
    with pytest.raises(ValueError, match="is not part of skvae") as caught:
        load_pretrained(saved[1], classes=classes)
    assert f"classes=[{last}] in Python" in str(caught.value)
    assert f"--allow-class {wanted} on the command line" in str(caught.value)


def test_a_file_imports_nothing(tmp_path, pairs):
    """Not even an installed class, and not for the error message."""
    (tmp_path / "traces.py").write_text(
        "from skvae import LogMMSE\n"
        "open('imported', 'w').close()\n"
        "class Gate(LogMMSE):\n"
        "    pass\n"
    )
    script = (
        "import numpy as np, os, sys\n"
        "import skvae, traces\n"
        "skvae.save_pretrained(traces.Gate().fit([np.zeros(9)]), 'g.safetensors')\n"
        "os.remove('imported')\n"
        "del sys.modules['traces']\n"
        "try:\n"
        "    skvae.load_pretrained('g.safetensors')\n"
        "except ValueError as error:\n"
        "    print(error)\n"
        "assert 'traces' not in sys.modules and not os.path.exists('imported')\n"
        "skvae.load_pretrained('g.safetensors', classes=['traces:Gate'])\n"
        "assert os.path.exists('imported')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "classes=[Gate]" in done.stdout


def test_a_class_that_has_moved_is_known_by_its_name(saved, pairs):
    _, path = saved
    moved = type("SpectrumGate", (SpectrumGate,), {"__module__": "elsewhere"})
    loaded = load_pretrained(path, classes=[moved, Gate])
    assert type(loaded) is moved
    with pytest.raises(ValueError, match="is not part of skvae"):
        # The name is ambiguous.
        Classes([moved, SpectrumGate]).find("a:SpectrumGate")
    assert Classes([moved, SpectrumGate]).find(SPECTRUM) is SpectrumGate


def test_a_name_of_skvae_stays_that_of_skvae(pairs, tmp_path):
    path = tmp_path / "theirs.safetensors"
    save_pretrained(WienerFilter().fit(pairs[0]), path)
    assert read_summary(path).estimator == "helpers.strangers:WienerFilter"
    with pytest.raises(ValueError, match="is not part of skvae"):
        load_pretrained(path)
    assert type(load_pretrained(path, classes=[WienerFilter])) is WienerFilter
    save_pretrained(skvae.WienerFilter().fit(pairs[0]), path)
    loaded = load_pretrained(path, classes=[WienerFilter])
    assert type(loaded) is skvae.WienerFilter


def test_what_a_class_does_not_declare_is_not_lost_in_silence(pairs):
    with pytest.raises(ValueError, match="`level_`, which is not in its `_learned`"):
        describe(Forgetful().fit(pairs[0]))


def test_parameters_are_checked_by_their_own_ranges():
    with pytest.raises(ValueError, match="`threshold` must be a number in"):
        check_parameters(Gate(-1.0))


LIES = {
    "range": ("parameters", {"threshold": -1.0}, "`threshold` must be a number"),
    "parameter": ("parameters", {"evil": 1}, "no parameter 'evil'"),
    "attribute": ("attributes", {"evil_": 1}, "no attribute 'evil_'"),
    "number": ("attributes", {"loudest_": -1}, "`loudest_` must be a number"),
    "array": ("attributes", {"spectrum_": None}, "`spectrum_` must be an array"),
    "part": ("attributes", {"other_": 3}, "`other_` must be a fitted estimator"),
}


@pytest.mark.parametrize(("part", "change", "message"), LIES.values(), ids=LIES)
def test_lies_about_what_it_has_learned_are_found(part, change, message, pairs):
    description, arrays = describe(SpectrumGate().fit(pairs[0]))
    description = json.loads(json.dumps(description))
    description[part].update(change)
    with pytest.raises(ValueError, match=message):
        rebuild(description, arrays, classes=[SpectrumGate])


def test_it_serves_as_a_part_of_ours(pairs, tmp_path):
    speech = skvae.SpeechVAE(2, 8, training=skvae.Training(1), random_state=0).fit(
        pairs[1]
    )
    enhancer = VAENMFEnhancer(
        FrozenEstimator(speech), skvae.VEM(2), guide=Gate(1.0), random_state=0
    ).fit(pairs[1])
    path = tmp_path / "guided.safetensors"
    save_pretrained(enhancer, path)
    assert other_classes(enhancer) == [Gate]
    assert_same(enhancer, load_pretrained(path, classes=[Gate]), pairs)
    with pytest.raises(ValueError, match=r"--allow-class helpers\.strangers:Gate"):
        load_pretrained(path)


def test_inferences_and_noise_models_of_other_packages_are_kept(pairs, tmp_path):
    speech = skvae.SpeechVAE(2, 8, training=skvae.Training(1), random_state=0)
    enhancer = VAENMFEnhancer(
        FrozenEstimator(speech.fit(pairs[1])),
        PatientVEM(2),
        noise=QuietNoise(2),
        random_state=0,
    ).fit(pairs[1])
    path = tmp_path / "patient.safetensors"
    save_pretrained(enhancer, path)
    loaded = load_pretrained(path, classes=[PatientVEM, QuietNoise])
    assert_same(enhancer, loaded, pairs)
    assert (type(loaded.inference), type(loaded.noise)) == (PatientVEM, QuietNoise)
    with pytest.raises(ValueError, match="--allow-class helpers"):
        load_pretrained(path, classes=[PatientVEM])


@pytest.mark.parametrize("learns", [False, True])
def test_it_is_made_by_its_name_if_that_is_among_the_classes(learns, pairs):
    name = SPECTRUM if learns else GATE
    assert find_model_file(name) is None
    assert has_own_rate(name, [name]) is learns
    if learns:
        with pytest.warns(UserWarning, match="fitted on synthetic speech"):
            load_pretrained(name, classes=[name])
    gate = load_pretrained(
        name, classes=[name], threshold=9.0, clean=pairs[1] if learns else None
    )
    assert (gate.threshold, gate.random_state) == (9.0, 0)
    wanted = type(gate)(9.0, random_state=0).fit(pairs[1])
    assert_same(wanted, gate, pairs)
    with pytest.raises(ValueError, match="is not part of skvae"):
        load_pretrained(name)


RECIPE = """
name = "gated"

[estimator]
class = "helpers.strangers:SpectrumGate"
threshold = 3.0

[estimator.other]
class = "helpers.strangers:Gate"
"""


def test_it_stands_in_a_recipe_if_the_reader_agrees(tmp_path):
    path = tmp_path / "gated.toml"
    path.write_text(RECIPE)
    recipe = read_recipe(path, {"other__threshold": 1.0}, classes=[GATE, SPECTRUM])
    assert type(recipe.estimator) is SpectrumGate
    assert recipe.estimator.other.threshold == 1.0
    with pytest.raises(ValueError, match=r"gated\.toml: `estimator\.class`: .* part"):
        read_recipe(path)
    with pytest.raises(ValueError, match=r"`estimator\.other\.class`: .* not part"):
        read_recipe(path, classes=[SpectrumGate])


def test_a_frozen_file_in_a_recipe_needs_the_same_consent(saved, tmp_path):
    path = tmp_path / "frozen.toml"
    path.write_text(
        'name = "guided"\n[estimator]\nclass = "VAENMFEnhancer"\n'
        '[estimator.guide]\nfrozen = "gate.safetensors"\n'
    )
    recipe = read_recipe(path, classes=[Gate, SpectrumGate])
    assert type(recipe.estimator.guide.estimator) is SpectrumGate
    with pytest.raises(ValueError, match=r"`estimator\.guide\.frozen`: .* not part"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Gate", "must have the form package.module:Class"),
        ("helpers.strangers.Gate", "must have the form"),
        ("helpers.strangers:Gate()", "must have the form"),
        ("helpers.nowhere:Gate", "cannot be imported .* install"),
        ("helpers.strangers:Door", "cannot be imported"),
        ("helpers.strangers:np", "derived from one of skvae"),
        ("os:system", "derived from one of skvae"),
        ("sklearn.linear_model:Ridge", "derived from one of skvae"),
    ],
)
def test_a_class_that_cannot_be_used_is_an_error(name, message):
    with pytest.raises(ValueError, match=message):
        import_class(name)


@pytest.mark.parametrize("classes", [[Ridge], [3], [Gate()], Ridge])
def test_only_classes_derived_from_ours_can_be_named(classes):
    with pytest.raises(ValueError, match="`classes` must hold classes derived"):
        Classes(classes)


def test_only_an_enhancer_is_made_by_its_name():
    with pytest.raises(ValueError, match="must be an enhancer"):
        load_pretrained("skvae.speech.vae:SpeechVAE", classes=[skvae.SpeechVAE])


def test_names_of_classes():
    assert class_name(DNNMask) == "DNNMask"
    assert class_name(Gate) == GATE
    assert import_class(GATE) is Gate
