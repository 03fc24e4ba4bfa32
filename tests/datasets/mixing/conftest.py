import numpy as np
import pytest
import soundfile


@pytest.fixture
def clean():
    rng = np.random.default_rng(0)
    return (rng.standard_normal(4000) * np.hanning(4000)).astype(np.float32)


@pytest.fixture
def noise():
    return np.random.default_rng(1).standard_normal(10000)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(2)
    for i in range(3):
        samples = 0.1 * rng.standard_normal(6000)
        soundfile.write(tmp_path / f"noise{i}.wav", samples, 16000, subtype="FLOAT")
    return tmp_path
