import pytest

from skvae.utils.words import counted, did_you_mean


@pytest.mark.parametrize(("number", "told"), [(0, "0 pairs"), (1, "1 pair")])
def test_only_one_is_told_in_the_singular(number, told):
    assert counted(number, "pair") == told


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("n_job", "did you mean 'n_jobs'?"),
        ("maxiter", "did you mean 'max_iter'?"),
        ("max_iter", "did you mean 'max_iter' or 'training__max_iter'?"),
        ("N-Jobs", "did you mean 'n_jobs'?"),
        ("verbosity", ""),
        (3, ""),
    ],
)
def test_similar_names_are_suggested(name, wanted):
    names = ["n_jobs", "max_iter", "training__max_iter"]
    assert did_you_mean(name, names) == wanted
