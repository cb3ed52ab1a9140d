from __future__ import annotations

import io
import subprocess
import sys

import pytest

from hostwright.errors import HostKeyMismatch, InventoryError
from hostwright.report import Look, Report, choose, error_text, paused
from hostwright.report.jsonl import JsonlOutput
from hostwright.report.live import LiveOutput
from hostwright.report.plain import PlainOutput
from hostwright.report.text import Span, line


class Stream(io.StringIO):
    def __init__(self, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal, self._encoding = terminal, encoding

    def isatty(self) -> bool:
        return self._terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


@pytest.mark.parametrize(
    ("terminal", "environ", "motion", "colour"),
    [
        (True, {}, True, True),
        (True, {"NO_COLOR": "1"}, True, False),
        (True, {"NO_COLOR": ""}, True, True),
        (True, {"TERM": "dumb"}, False, False),
        (True, {"CI": "true"}, False, False),
        (True, {"CI": "false"}, True, True),
        (True, {"CI": "true", "FORCE_COLOR": "1"}, False, True),
        (False, {}, False, False),
        (False, {"FORCE_COLOR": "1"}, False, True),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        (True, {"FORCE_COLOR": "0"}, True, False),
    ],
)
def test_what_a_stream_can_show(terminal: bool, environ: dict[str, str], motion: bool, colour: bool) -> None:
    look = Look.of(Stream(terminal), environ)
    assert (look.motion, look.colour) == (motion, colour)
    output = choose(Stream(terminal), json=False, environ=environ)
    assert type(output) is (LiveOutput if motion else PlainOutput)
    assert isinstance(choose(Stream(terminal), json=True, environ=environ), JsonlOutput)
    assert isinstance(choose(Stream(terminal), json=False, environ=environ, debug=True), PlainOutput)


@pytest.mark.parametrize(("columns", "width"), [("40", 40), ("", 80), ("wide", 80), ("3", 20), ("0", 80)])
def test_width(columns: str, width: int) -> None:
    assert Look.of(Stream(True), {"COLUMNS": columns}).width == width
    assert Look.of(Stream(False), {"COLUMNS": columns}).width is None


def test_painting() -> None:
    parts = line(Span("web1", "host"), "  ok  ")
    assert Look().paint(parts) == "web1  ok"
    assert Look(colour=True).paint(parts) == "\x1b[1mweb1\x1b[0m  ok"


@pytest.mark.parametrize(
    ("encoding", "ellipsis", "text"),
    [("utf-8", "…", "é"), ("ascii", "...", "\\xe9"), ("no-such", "...", "\\xe9")],
)
def test_characters_a_stream_lacks(encoding: str, ellipsis: str, text: str) -> None:
    look = Look(encoding=encoding)
    assert (look.ellipsis, look.encodable("é")) == (ellipsis, text)


def test_lines_for_a_pipe_do_not_import_rich() -> None:
    code = """
import io, sys
from hostwright.report import Report, choose
from hostwright.report.__main__ import play
for json in (False, True):
    play("two-deploys", choose(io.StringIO(), json=json, environ={}), 0)
sys.exit(any(name.partition(".")[0] == "rich" for name in sys.modules))
"""
    assert subprocess.run((sys.executable, "-c", code), check=False).returncode == 0


def test_paused_outputs_move_again_only_if_they_did() -> None:
    stream = Stream(True)
    output = choose(stream, json=False, environ={})
    assert isinstance(output, LiveOutput)
    with paused(output):
        pass
    assert stream.getvalue() == ""
    output.begin(["web1"], "provision")
    with paused(output):
        at = len(stream.getvalue())
        stream.write("sudo password: ")
    assert "connecting" in stream.getvalue()[at:]
    output.end(Report())
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")
    with paused(choose(Stream(False), json=False, environ={})):
        pass


KEY = HostKeyMismatch(
    "the host key changed. Known: SHA256:kq3dWm1xS0fE (since 2026-03-01). Now: SHA256:Zt1m0aQ.",
    host="web1",
    evidence=["\x1b[31mssh-ed25519\x1b[0m AAAA"],
    hint="Either the server was reinstalled, or someone is in between. If it was you:\nssh-keygen -R 203.0.113.10",
)


def test_an_error_for_a_pipe() -> None:
    assert error_text(KEY, Stream(False), {}) == (
        "web1  the host key changed. Known: SHA256:kq3dWm1xS0fE (since 2026-03-01). Now: SHA256:Zt1m0aQ.\n"
        "      | ssh-ed25519 AAAA\n"
        "      Either the server was reinstalled, or someone is in between. If it was you:\n"
        "      ssh-keygen -R 203.0.113.10"
    )


def test_an_error_for_a_terminal() -> None:
    assert error_text(KEY, Stream(True), {"COLUMNS": "50", "NO_COLOR": "1"}) == (
        "web1  the host key changed. Known:\n"
        "      SHA256:kq3dWm1xS0fE (since 2026-03-01). Now:\n"
        "      SHA256:Zt1m0aQ.\n"
        "      | ssh-ed25519 AAAA\n"
        "      Either the server was reinstalled, or\n"
        "      someone is in between. If it was you:\n"
        "      ssh-keygen -R 203.0.113.10"
    )


def test_problems_of_an_inventory() -> None:
    error = InventoryError(
        [
            'inventory.yaml:12:7  apps.hello.requirement: unknown key. Did you mean "requirements"?',
            "inventory.yaml:19:12  x",
        ],
        hint="inv inventory.schema",
    )
    assert error_text(error, Stream(False), {}) == (
        'inventory.yaml:12:7  apps.hello.requirement: unknown key. Did you mean "requirements"?\n'
        "inventory.yaml:19:12  x\n"
        "2 problems, nothing was contacted.\n"
        "  inv inventory.schema"
    )
    assert error_text(error, Stream(True), {"COLUMNS": "50", "NO_COLOR": "1"}).startswith(
        "inventory.yaml:12:7  apps.hello.requirement:\n  unknown key. Did you mean"
    )
