from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys

import pytest

from skvae.utils import files
from skvae.utils.files import (
    check_writable,
    ignores_case,
    remove_parts,
    written_whole,
)


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


def test_nothing_is_left_where_the_last_bytes_cannot_be_written(tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores the signal of the limit, so that writing raises an error.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with (
            pytest.raises(OSError, match="too large"),
            written_whole(tmp_path / "a") as file,
        ):
            file.write(bytes(1000))  # buffered until the end
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def kill_while_writing(path):
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


def test_a_kill_leaves_the_file_as_it_was_and_a_part_that_the_next_run_removes(
    tmp_path,
):
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    kill_while_writing(path)
    assert path.read_bytes() == b"before"
    [part] = set(tmp_path.iterdir()) - {path}
    assert part.name.startswith(".a.bin.")
    assert remove_parts(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_what_somebody_writes_is_not_removed_nor_what_is_somebody_elses(tmp_path):
    (tmp_path / ".a.part").touch()
    (tmp_path / ".a.skvae-0123456g.part").touch()
    (tmp_path / ".a.skvae-01234567.part").mkdir()
    with written_whole(tmp_path / "a") as file:
        file.write(b"one")
        assert remove_parts(tmp_path) == 0
        file.write(b"two")
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert len(list(tmp_path.iterdir())) == 4


def test_a_folder_that_is_missing_holds_no_parts(tmp_path):
    assert remove_parts(tmp_path / "missing") == 0


def test_a_part_that_was_removed_before_it_was_locked_is_made_again(
    tmp_path, monkeypatch
):
    lock, removed = files._lock, []

    def remove_and_lock(file, wait):
        if not removed:
            removed.append(file.name)
            os.unlink(file.name)
        return lock(file, wait)

    monkeypatch.setattr(files, "_lock", remove_and_lock)
    with written_whole(tmp_path / "a") as file:
        file.write(b"one")
    assert removed
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_part_of_a_given_name_is_used_again(tmp_path):
    path, part = tmp_path / "a", tmp_path / "a.part"
    part.write_bytes(b"of somebody who was killed")
    with written_whole(path, part) as file:
        file.write(b"one")
        assert part.exists()
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_the_disk_has_the_bytes_before_the_name_and_then_the_name(
    tmp_path, monkeypatch
):
    calls = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        calls.append("folder" if is_folder else os.fstat(descriptor).st_size)
        fsync(descriptor)

    def noted_replace(source, target):
        calls.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    with written_whole(tmp_path / "a") as file:
        file.write(b"123")
    assert calls == [3, "name", *["folder"] * (os.name == "posix")]


def test_a_name_of_the_greatest_length_is_written(tmp_path):
    path = tmp_path / ("ü" * 127)
    with written_whole(path) as file:
        file.write(b"1")
    assert path.read_bytes() == b"1"


@pytest.mark.skipif(os.name != "posix", reason="permissions of its own")
def test_a_file_that_is_replaced_hands_on_its_permissions(tmp_path):
    path = tmp_path / "private"
    path.touch()
    path.chmod(0o600)
    with written_whole(path) as file:
        file.write(b"1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


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


@pytest.fixture(params=["pipe", "socket", "device", "link to a device"])
def special(request, tmp_path):
    """What exists and is no regular file, and has to stay."""
    path = tmp_path / "special"
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no such files")
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.relpath(path))
    elif request.param == "device":
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except OSError:
            pytest.skip("only root makes devices")
    else:
        path.symlink_to("/dev/null")
    before = os.lstat(path)
    yield path
    after = os.lstat(path)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


@pytest.mark.parametrize("overwrite", [True, False])
def test_devices_pipes_and_sockets_are_never_replaced(special, overwrite):
    message = "a device, a pipe or a socket"
    with pytest.raises(OSError, match=message):
        check_writable(special, overwrite)
    with (
        pytest.raises(OSError, match=message),
        written_whole(special, overwrite=overwrite),
    ):
        raise AssertionError
    assert list(special.parent.iterdir()) == [special]


def test_a_pipe_that_appears_during_the_work_stays(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes")
    path = tmp_path / "a"
    with pytest.raises(OSError, match="a pipe"), written_whole(path):
        os.mkfifo(path)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert list(tmp_path.iterdir()) == [path]


def test_the_standard_streams_are_never_replaced():
    for name in ("/dev/stdout", "/dev/stderr", "/dev/null"):
        if os.path.exists(name):
            with pytest.raises(OSError):
                check_writable(name, overwrite=True)


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_during_the_work_stays(tmp_path, monkeypatch, links):
    if not links:

        def refuse(source, target):
            raise PermissionError

        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a"
    with (
        pytest.raises(FileExistsError, match="it exists"),
        written_whole(path, overwrite=False) as file,
    ):
        file.write(b"late")
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    path.unlink()
    with written_whole(path, overwrite=False) as file:
        file.write(b"first")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_what_may_be_written_is_known_before_the_work(tmp_path):
    path = tmp_path / "scores.csv"
    check_writable(path)
    path.touch()
    with pytest.raises(FileExistsError, match="it exists"):
        check_writable(path)
    check_writable(path, overwrite=True)
    for name, error in {
        "": ValueError,
        tmp_path: IsADirectoryError,
        f"{tmp_path}/new.csv/": IsADirectoryError,
        tmp_path / "missing/a": FileNotFoundError,
    }.items():
        with pytest.raises(error):
            check_writable(name, overwrite=True)


def test_an_input_is_never_replaced_under_whatever_name(tmp_path):
    path = tmp_path / "a.wav"
    path.touch()
    os.link(path, tmp_path / "again.wav")
    (tmp_path / "link.wav").symlink_to(path)
    inputs = [tmp_path / "gone.wav", path]
    for name in ("a.wav", "again.wav", "link.wav"):
        with pytest.raises(shutil.SameFileError, match="one of the inputs"):
            check_writable(tmp_path / name, True, inputs)
    check_writable(tmp_path / "b.wav", True, inputs)


def test_a_link_to_nothing_is_something(tmp_path):
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "gone")
    with pytest.raises(FileExistsError):
        check_writable(path)
    check_writable(path, overwrite=True)


def test_a_folder_without_permission_is_told(tmp_path, monkeypatch):
    # As root may write everywhere, the refusal is made.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="its folder cannot be written to"):
        check_writable(tmp_path / "a")


def test_whether_case_counts_is_tried_out_and_nothing_is_left(tmp_path, monkeypatch):
    (tmp_path / "a").touch()
    assert ignores_case(tmp_path / "missing/too") == (tmp_path / "A").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    monkeypatch.setattr(os.path, "exists", lambda path: True)
    assert ignores_case(tmp_path)


def test_where_nothing_can_be_tried_out_case_does_not_count(monkeypatch, tmp_path):
    def refuse(path):
        raise PermissionError

    monkeypatch.setattr(files, "_create", refuse)
    assert ignores_case(tmp_path)
