from __future__ import annotations

import numpy as np
import pytest
from helpers import scripts

from skvae import ISNMF, load_pretrained, save_pretrained
from skvae.datasets import make_speech
from skvae.storage.model_files import read_model, read_summary


@pytest.fixture
def path(tmp_path):
    speech = [make_speech(16000, random_state=0)]
    save_pretrained(
        ISNMF(3, random_state=0).fit(speech),
        tmp_path / "small.safetensors",
        description="before",
        license="CC0",
        figures={"SI-SDR": 3.0},
    )
    return tmp_path / "small.safetensors"


def test_a_card_changes_and_the_weights_do_not(path, capsys):
    script = scripts.load("tools/edit_card.py")
    before, card = script.describe(script.read(path)[1]), read_summary(path).card
    model = read_model(path)
    assert script.main([str(path), "--description", "after"]) == 0
    assert read_summary(path).card == card._replace(description="after")
    assert script.describe(script.read(path)[1]) == before
    noisy = [np.random.default_rng(0).standard_normal(4000)]
    np.testing.assert_array_equal(
        load_pretrained(path).transform(noisy)[0], model.transform(noisy)[0]
    )
    assert capsys.readouterr().out.endswith("after\n")


def test_weights_that_would_change_are_not_written(path, monkeypatch):
    script = scripts.load("tools/edit_card.py")
    content = path.read_bytes()

    def write_rounded(file, arrays, metadata):
        rounded = {name: np.round(x, 2) for name, x in arrays.items()}
        write_tensors(file, rounded, metadata)

    write_tensors = script.write_tensors
    monkeypatch.setattr(script, "write_tensors", write_rounded)
    with pytest.raises(RuntimeError, match="the arrays would change"):
        script.edit(path, {"license": "CC BY 4.0"})
    assert path.read_bytes() == content
