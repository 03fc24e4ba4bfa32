import pytest

from skvae.utils.words import counted


@pytest.mark.parametrize(("number", "told"), [(0, "0 pairs"), (1, "1 pair")])
def test_only_one_is_told_in_the_singular(number, told):
    assert counted(number, "pair") == told
