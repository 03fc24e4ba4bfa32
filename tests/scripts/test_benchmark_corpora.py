from __future__ import annotations

import pytest
from helpers import scripts

pytestmark = pytest.mark.slow


@pytest.fixture
def corpora():
    return scripts.load("benchmarks/corpora.py")


def test_every_layout_is_made_and_listed(corpora, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "LIMIT", float("inf"))
    arguments = ["--files", "240", "--rounds", "1", "--within", str(tmp_path)]
    assert corpora.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(corpora.CORPORA)
    assert [int(line.split()[1]) for line in lines] == 6 * [240]
    assert list(tmp_path.iterdir()) == []


def test_a_layout_that_takes_too_long_is_told(corpora, monkeypatch, tmp_path):
    monkeypatch.setattr(corpora, "LIMIT", 0.0)
    arguments = ["--files", "10", "--rounds", "1", "--corpora", "pairs"]
    assert corpora.main([*arguments, "--within", str(tmp_path)]) == 1
