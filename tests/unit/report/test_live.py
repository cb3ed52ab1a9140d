"""The terminal, as a person would see it: through a small terminal of our own, and once through a real one."""

from __future__ import annotations

import errno
import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from hostwright.errors import HostUnreachable
from hostwright.remote import events
from hostwright.report import Look, Report
from hostwright.report.__main__ import play
from hostwright.report.demo import BEGAN, SCENES, hello, started
from hostwright.report.live import LiveOutput

from .conftest import Clock
from .screen import Screen
from .test_lines import POISON, show

ENVIRON = {"TERM": "xterm"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Seen:
    """A live output and the screen it draws on; frames are drawn when asked for."""

    def __init__(self, clock: Clock, width: int = 80, height: int = 24, **look: object) -> None:
        self.stream = Terminal()
        self.screen = Screen(width)
        self._read = 0
        shown = Look(width=width, motion=True, **look)  # type: ignore[arg-type]
        environ = {**ENVIRON, "COLUMNS": str(width), "LINES": str(height)}
        self.output = LiveOutput(self.stream, shown, environ, clock=clock, wall=lambda: BEGAN + 38)

    def frame(self) -> str:
        """Draw the moving lines; what is on the screen then."""
        live = self.output._live
        if live is not None:
            live.refresh()
            with live._lock:  # a frame of its own thread may be on its way
                pass
        text = self.stream.getvalue()
        self.screen.feed(text[self._read :])
        self._read = len(text)
        return self.screen.text

    def resize(self, width: int) -> None:
        self.frame()
        self.screen.resize(width)
        self.output._console.width = width


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live's own thread draws once a minute: frames come when a test wants them."""
    monkeypatch.setattr("hostwright.report.live.FRAMES_PER_SECOND", 1 / 60)


@pytest.mark.usefixtures("slow")
def test_what_happens_now_is_at_the_bottom(clock: Clock) -> None:
    seen = Seen(clock)
    seen.output.begin(["web1"], "provision")
    clock.now += 2
    assert seen.frame() == "  ⠋ connecting  2 s"
    assert not seen.screen.cursor
    seen.output.event("web1", hello())
    seen.output.event("web1", started())
    assert seen.frame() == "  ⠋ checking  0 s  1 of 53"
    seen.output.event("web1", events.ResourceUnchanged("file:/a", "file /a"))
    seen.output.event("web1", events.ResourceStarted("packages:base", "packages base"))
    clock.now += 11
    seen.output.event("web1", events.Output("packages:base", "Unpacking \x1b[1mnginx\x1b[0m (1.22.1) ..."))
    assert seen.frame().splitlines() == [
        "web1  Ubuntu 24.04, 2 cores, 2.0 GiB, nginx none                 connected 2.0 s",
        "  ⠋ packages base  11 s  2 of 53  Unpacking nginx (1.22.1) ...",
    ]
    names = [{"attribute": "nginx", "before": None, "after": "installed"}]
    seen.output.event("web1", events.ResourceChanged("packages:base", "packages base", names, 11.2))
    assert seen.frame().splitlines()[1:] == [
        "  + packages  base            nginx                                       11.2 s",
        "  ⠋ checking  0 s  3 of 53",
    ]
    seen.output.event("web1", events.RunFinished("done", 12.0, changed=1, unchanged=52))
    seen.output.end(Report())
    assert seen.frame().splitlines()[2:] == [
        "web1  1 changed, 52 unchanged, 0 failed                                     13 s"
    ]
    assert seen.screen.cursor


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("width", [80, 40])
def test_at_the_end_the_same_lines_are_there_as_without_motion(name: str, width: int, clock: Clock) -> None:
    seen = Seen(clock, width)
    report = play(name, seen.output, 0)
    seen.frame()
    rows = "\n".join(row for row in show_again(name, width).splitlines() for row in wrapped(row, width))
    assert without_times(seen.screen.text) == without_times(rows)
    assert seen.screen.cursor
    assert report.exit_code in (0, 1, 3, 4, 5, 6, 130)


def show_again(name: str, width: int) -> str:
    return show(name, width).rpartition("(exit code")[0].rstrip("\n")


def wrapped(row: str, width: int) -> list[str]:
    return [part.rstrip() for part in re.findall(f".{{1,{width}}}", row)] or [""]


def without_times(text: str) -> str:
    """The pauses are left out here; connecting, waiting and the whole command took no time."""
    return re.sub(r"connected[\d.]+m?s|[\d.]+m?s", "", re.sub(r"\s+", "", text))


@pytest.mark.usefixtures("slow")
def test_several_hosts_have_a_line_each(clock: Clock) -> None:
    seen = Seen(clock, 60)
    seen.output.begin(["web1", "worker2", "db1"], "deploy hello")
    seen.output.event("worker2", events.StepStarted("migrate", "alembic upgrade head"))
    seen.output.event("worker2", events.Output("migrate", "x" * 100))
    assert seen.frame().splitlines() == [
        "deploy hello -> web1, worker2, db1",
        "web1     ⠋ connecting  0 s",
        "worker2  ⠋ migrate alembic upgrade head  0 s  xxxxxxxxxx…",
        "db1      ⠋ connecting  0 s",
    ]
    seen.output.error("db1", HostUnreachable("timed out after 5 s"))
    seen.output.event("worker2", events.RunFinished("done", 1.0, state="Live: 4f2c1d9."))
    assert seen.frame().splitlines()[1:] == [
        "db1      timed out after 5 s",
        "worker2  Live: 4f2c1d9.                                1.0 s",
        "web1     ⠋ waiting  0 s",
    ]
    seen.output.close()
    assert seen.frame().splitlines()[-1].startswith("worker2  Live")


@pytest.mark.usefixtures("slow")
def test_more_hosts_than_rows(clock: Clock) -> None:
    seen = Seen(clock, 60, 8)
    seen.output.begin([f"web{number}" for number in range(20)], "provision")
    rows = seen.frame().splitlines()
    assert len(rows) == 7
    assert rows[-1] == "  and 15 more hosts"
    seen.output.close()
    assert seen.frame() == "provision -> 20 hosts"


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("widths", [(40,), (45, 30, 21), (60, 100, 33), (100, 40)])
def test_a_resize_leaves_nothing_behind(widths: tuple[int, ...], clock: Clock) -> None:
    seen = Seen(clock, 90)
    seen.output.begin(["web1", "web2"], "provision")
    for host in ("web1", "web2"):
        seen.output.event(host, events.ResourceStarted("packages:base", "packages base"))
        seen.output.event(host, events.Output("packages:base", "Unpacking " + "nginx " * 20))
    seen.frame()
    above = "provision -> web1, web2"
    for width in widths:
        seen.resize(width)
        *rows, first, second = seen.frame().splitlines()
        assert (first[:7], second[:7]) == ("web1  ⠋", "web2  ⠋")
        assert "".join(rows) == above
        seen.output.notice("a notice")
        above += "a notice"
    seen.output.close()
    assert "".join(seen.frame().splitlines()) == above


def test_a_server_cannot_reach_the_terminal(clock: Clock) -> None:
    seen = Seen(clock, colour=True)
    seen.output.begin(["web1"], POISON)
    seen.output.event("web1", events.ResourceStarted("file:/a", POISON))
    seen.output.event("web1", events.Output("file:/a", POISON))
    seen.output.event(
        "web1", events.ResourceFailed("file:/a", POISON, POISON, 1.0, [POISON], 1, [POISON], POISON)
    )
    seen.output.notice(POISON)
    seen.output.close()
    shown = seen.frame()  # the screen asserts that it knows every control
    assert "[bold]:smile:" in shown
    assert "\u202e" not in seen.stream.getvalue()
    assert "\x1b[1;31m" in seen.stream.getvalue()  # ours


def test_no_colour_still_moves(clock: Clock) -> None:
    seen = Seen(clock, colour=False)
    play("failed-apt", seen.output, 0)
    assert re.findall(r"\x1b\[[0-9;]*m", seen.stream.getvalue()) == []
    assert "\x1b[?25l" in seen.stream.getvalue()


@pytest.mark.usefixtures("slow")
def test_an_ascii_terminal(clock: Clock) -> None:
    seen = Seen(clock, 40, encoding="ascii")
    seen.output.begin(["web1"], "provision")
    seen.output.event("web1", events.ResourceStarted("a:b", "installing Grüße " + "世" * 30))
    assert seen.frame() == "  - installing Gr\\xfc\\xdfe \\u4e16\\..."
    seen.output.notice("世界")
    seen.output.close()
    assert seen.stream.getvalue().isascii()


def test_an_exception_gives_the_cursor_back(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen(clock)
    seen.output.begin(["web1"], "provision")
    monkeypatch.setattr(seen.output, "_moving", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        seen.output.close()
    assert seen.stream.getvalue().rindex("\x1b[?25h") > seen.stream.getvalue().rindex("\x1b[?25l")
    seen.output.close()


def read(handle: int, until: bytes = b"", seconds: float = 20.0) -> bytes:
    """What a pseudo terminal says, until something is in it or it is closed."""
    said, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if until and until in said:
            return said
        if select.select([handle], [], [], 0.1)[0]:
            try:
                chunk = os.read(handle, 65536)
            except OSError as error:
                if error.errno == errno.EIO:  # the other side is closed
                    return said
                raise
            if not chunk:
                return said
            said += chunk
    raise AssertionError(f"not in {seconds} s: {said!r}")


def test_ctrl_c_on_a_real_terminal() -> None:
    ours, theirs = pty.openpty()
    environ = {
        key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR", "FORCE_COLOR")
    }
    process = subprocess.Popen(
        (sys.executable, "-m", "hostwright.report", "fresh"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        start_new_session=True,
    )
    os.close(theirs)
    said = read(ours, b"packages base")
    process.send_signal(signal.SIGINT)
    said += read(ours)
    assert process.wait(20) == 130
    os.close(ours)
    screen = Screen(80)
    screen.feed(said.decode())
    assert screen.cursor
    assert "Traceback" not in screen.text
    assert "packages base" not in screen.text  # the moving line went away
    assert screen.text.splitlines()[-1].startswith("web1  Ubuntu 24.04")
