"""The logger "skvae": `verbose` prints, and can be silenced and routed."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

import numpy as np
import pytest

from skvae import WienerFilter
from skvae.utils.log import LOGGER, ConsoleHandler, is_routed

SOUND = [np.random.default_rng(0).standard_normal(2000)]


@pytest.fixture(autouse=True)
def restored():
    level, handlers = LOGGER.level, list(LOGGER.handlers)
    root = list(logging.root.handlers)
    yield
    LOGGER.setLevel(level)
    LOGGER.handlers[:], logging.root.handlers[:] = handlers, root


def enhance(verbose=1):
    WienerFilter(verbose=verbose).fit(SOUND).transform(SOUND)


def test_verbose_prints_on_standard_error(capsys):
    enhance()
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("enhancing: 1/1, ")
    enhance(verbose=0)
    assert capsys.readouterr().err == ""


def test_a_level_silences_it(capsys):
    logging.getLogger("skvae").setLevel("WARNING")
    enhance()
    assert capsys.readouterr().err == ""


def test_a_handler_takes_the_place_of_the_console(capsys):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    LOGGER.addHandler(handler)
    assert is_routed()
    enhance()
    assert stream.getvalue().startswith("skvae INFO enhancing: 1/1, ")
    assert capsys.readouterr().err == ""


def test_a_root_handler_that_prints_gets_each_line_once(capsys):
    logging.root.addHandler(logging.StreamHandler(sys.stderr))
    enhance()
    assert capsys.readouterr().err.count("enhancing: 1/1") == 1


def test_a_root_handler_elsewhere_leaves_the_console(capsys, caplog):
    enhance()  # pytest has one
    assert [record.name for record in caplog.records] == ["skvae"]
    assert capsys.readouterr().err.count("enhancing: 1/1") == 1


def test_a_terminal_has_a_bar_unless_messages_are_routed(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    enhance()
    assert "\r" in sys.stderr.getvalue()
    monkeypatch.setattr(sys, "stderr", Terminal())
    LOGGER.addHandler(logging.NullHandler())
    enhance()
    assert sys.stderr.getvalue() == ""


def test_there_is_one_default_handler_and_basic_config_keeps_verbose():
    code = (
        "import logging, numpy as np, skvae\n"
        "logging.basicConfig()\n"
        "x = [np.ones(2000)]\n"
        "skvae.WienerFilter(verbose=1).fit(x).transform(x)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    [line] = done.stderr.splitlines()
    assert line.startswith("INFO:skvae:enhancing: 1/1")
    assert sum(isinstance(one, ConsoleHandler) for one in LOGGER.handlers) == 1
