from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from skvae.utils.files import written_whole


def test_the_file_appears_when_all_is_written(tmp_path):
    path = tmp_path / "a.bin"
    with written_whole(path) as file:
        file.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_was_there_stays_if_writing_fails(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt), written_whole(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    code = (
        "import os, signal, sys\n"
        "from skvae.utils.files import written_whole\n"
        "with written_whole(sys.argv[1]) as file:\n"
        "    file.write(b'half')\n"
        "    file.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert done.returncode != 0
    assert path.read_bytes() == b"before"


def test_permissions_are_the_usual_ones(tmp_path):
    with written_whole(tmp_path / "ours") as file:
        file.write(b"")
    (tmp_path / "theirs").touch()
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in tmp_path.iterdir()]
    assert modes[0] == modes[1]


def test_two_writers_do_not_mix(tmp_path):
    path = tmp_path / "a.bin"
    with written_whole(path) as one:
        one.write(b"1" * 99)
        with written_whole(path) as two:
            two.write(b"2" * 9)
        assert path.read_bytes() == b"2" * 9
    assert path.read_bytes() == b"1" * 99


def test_a_folder_in_its_place_is_an_error_and_nothing_is_left(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError), written_whole(tmp_path / "a") as file:
        file.write(b"")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
