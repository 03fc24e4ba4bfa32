import io

import pytest

from skvae.utils import progress
from skvae.utils.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(stream, total, lines=None, **options):
    with Progress(total, "working", stream, **options) as progress:
        for k in range(total):
            progress.advance(None if lines is None else lines[k])
    return stream.getvalue()


@pytest.mark.parametrize("total", [1, 7, 10, 1000])
def test_log_files_get_at_most_ten_lines(total):
    lines = run(io.StringIO(), total).splitlines()
    assert len(lines) == min(total, 10)
    assert lines[-1].startswith(f"working: {total}/{total}, ")
    assert "\r" not in "".join(lines)


def test_lines_of_items_stand_instead_of_the_count():
    assert run(io.StringIO(), 2, ["a.wav", "b.wav"]) == "a.wav\nb.wav\n"


def test_terminals_get_one_line_that_is_drawn_again():
    text = run(Terminal(), 4)
    assert text.count("\n") == 1 and text.endswith("\n")
    assert text.count("\r") == 5  # before the first item, and after each
    assert "█" * 24 in text.split("\r")[-1] and "░" * 24 in text.split("\r")[1]


def test_lines_of_items_stand_above_the_bar():
    text = run(Terminal(), 2, ["a.wav", "b.wav"])
    assert text.count("\n") == 3
    assert text.index("a.wav\n") < text.index("b.wav\n") < text.rindex("2/2")


def test_nothing_is_written_when_it_is_off():
    assert run(io.StringIO(), 3, enabled=False) == ""
    assert run(Terminal(), 3, enabled=False) == ""


def test_standard_error_is_the_default(capsys):
    with Progress(1, "working") as progress:
        progress.advance()
    captured = capsys.readouterr()
    assert captured.out == "" and "working: 1/1" in captured.err


def test_the_time_left_is_told_while_there_is_some():
    stream = io.StringIO()
    with Progress(2, "working", stream) as progress:
        progress.advance()
        assert stream.getvalue().endswith("s left\n")
        progress.advance()
    assert "left" not in stream.getvalue().splitlines()[-1]


def test_a_terminal_is_left_on_a_new_line_after_an_error():
    stream = Terminal()
    with pytest.raises(RuntimeError), Progress(2, "working", stream):
        raise RuntimeError
    assert stream.getvalue().endswith("\n")


def test_no_work_at_all_is_no_error():
    assert run(io.StringIO(), 0) == ""
    assert "0/0" in run(Terminal(), 0)


def test_with_a_pause_lines_come_now_and_then(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with Progress(100, "long.wav", stream, pause=60.0) as counter:
        for _ in range(100):
            now[0] += 2.0
            counter.advance()
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"long.wav: {k}/100" for k in (30, 60, 90)
    ]
    assert lines[0].endswith("60 s, 140 s left")
