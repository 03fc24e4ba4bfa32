from __future__ import annotations

import numpy as np
import pandas
import pytest
from helpers import scripts

from skvae import BiLSTMMask, SpeechVAE, Training, load_pretrained, save_pretrained
from skvae.datasets import make_dataset, make_speech
from skvae.storage.model_files import read_summary

pytestmark = pytest.mark.slow

MANIFEST = """\
path,kind,split,group,source,seconds,licence,attribution
a,speech,train,ann,corpus,120,CC0,Ann
b,speech,train,bob,corpus,120,CC BY 4.0,Bob
c,speech,test,eve,elsewhere,120,CC0,Eve
d,noise,train,rain,sounds,60,CC BY 3.0,Rose
"""


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """Calls the script with a small model, and gives the file that it wrote."""
    script = scripts.load("tools/package_model.py")
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    (tmp_path / "manifest.csv").write_text(MANIFEST)
    speech = [make_speech(16000, random_state=k) for k in range(3)]
    model = tmp_path / "trained.safetensors"
    vae = SpeechVAE(4, 32, training=Training(1), random_state=0).fit(speech)
    save_pretrained(vae, model, description="What it is")

    def pack(*options):
        arguments = [str(model), "--name", "small", "--data", str(tmp_path), *options]
        assert script.main(arguments) == 0
        return tmp_path / "small.safetensors"

    pack.vae, pack.model, pack.script = vae, model, script
    return pack


def test_a_card_names_all_whose_recordings_were_trained_on_and_nobody_else(packed):
    card = read_summary(packed()).card
    assert card.name == "small" and card.description == "What it is"
    assert card.license == "CC BY 4.0"
    assert card.training_data == (
        "4 minutes of speech (2 folders of speakers), 1 minutes of noise "
        "(1 environments); recordings were resampled, cut, leveled and mixed"
    )
    corpus, sounds = card.attributions
    assert corpus == "corpus (CC BY 4.0, CC0): Ann; Bob"
    assert sounds == "sounds (CC BY 3.0): Rose"


def test_noise_that_was_not_trained_on_is_not_named(packed):
    card = read_summary(packed("--speech-only")).card
    assert [line.split(" ")[0] for line in card.attributions] == ["corpus"]
    assert "synthetic noise" in card.training_data


def test_the_file_is_half_as_large_and_gives_nearly_the_same(packed):
    path = packed()
    assert (
        path.stat().st_size < 0.7 * (path.parent / "trained.safetensors").stat().st_size
    )
    speech = [make_speech(16000, random_state=9)]
    before, after = (m.score(speech) for m in (packed.vae, load_pretrained(path)))
    assert before == pytest.approx(after, rel=1e-3) and before != after


def test_what_half_precision_costs_an_enhancer_is_told_and_limited(
    packed, capsys, monkeypatch
):
    mask = BiLSTMMask(hidden_layer_sizes=16, training=Training(3), random_state=0)
    save_pretrained(mask.fit(*make_dataset(4, random_state=1)), packed.model)
    path = packed()
    assert "changes the SI-SDR of mixtures by " in capsys.readouterr().out
    noisy, clean = make_dataset(4, random_state=2)
    rounded = load_pretrained(path)
    assert rounded.score(noisy, clean) == pytest.approx(
        mask.score(noisy, clean), abs=packed.script.MOST_CHANGE
    )
    monkeypatch.setattr(packed.script, "MOST_CHANGE", 0.0)
    with pytest.raises(SystemExit, match=r"more than 0.0 dB: .* is not written"):
        packed()
    assert load_pretrained(path).score(noisy, clean) == rounded.score(noisy, clean)
    assert [one.name for one in path.parent.glob("*small*")] == ["small.safetensors"]


def test_scores_go_into_the_card_beside_those_of_the_noisy_speech(packed, tmp_path):
    rows = {"si_sdr": [8.0, 10.0], "sdr": 9.0, "pesq": 1.5, "estoi": 0.6}
    tables = [
        pandas.DataFrame(rows).assign(model="small"),
        pandas.DataFrame({name: np.zeros(2) for name in rows}).assign(model="noisy"),
    ]
    pandas.concat(tables).to_csv(tmp_path / "scores.csv")
    figures = read_summary(
        packed("--scores", str(tmp_path / "scores.csv"))
    ).card.figures
    assert figures["SI-SDR (dB), 2 pairs in unseen noise"] == "9.00 (noisy: 0.00)"
    assert len(figures) == 4
