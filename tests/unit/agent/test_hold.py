"""A run stays at the step that root named, and only there; a cancel lets it go."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from hostwright.remote import events
from hostwright.remote.paths import Paths
from hostwright.remote.run import Run
from hostwright.remote.worker import hold


class Held:
    """A run of two steps in a thread, with a runtime folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heard: list[events.Event] = []
        self.cancelled = False
        paths = Paths(str(folder / "state"), str(folder))
        self.run = Run(
            self.heard.append, lambda: False, lambda point: hold(paths, point, lambda: self.cancelled)
        )
        self.thread = threading.Thread(target=self._steps)

    def _steps(self) -> None:
        for name in ("start", "switch"):
            with self.run.step(name):
                pass

    def wait(self, point: str) -> None:
        """Until it says that it stays at `point`."""
        end = time.monotonic() + 5
        while not (self.folder / "held").exists() or (self.folder / "held").read_text() != point:
            assert time.monotonic() < end, point
            time.sleep(0.01)

    def end(self) -> None:
        """Until both steps are over."""
        self.thread.join(5)
        assert not self.thread.is_alive()
        assert not (self.folder / "held").exists()
        assert len(self.heard) == 4


def test_nothing_is_held_without_the_file(tmp_path: Path) -> None:
    held = Held(tmp_path)
    held.thread.start()
    held.end()


def test_it_stays_at_the_point_that_is_named_until_the_file_is_gone(tmp_path: Path) -> None:
    (tmp_path / "hold").write_text("begin:switch\n")
    held = Held(tmp_path)
    held.thread.start()
    held.wait("begin:switch")
    assert [event.event for event in held.heard] == ["step_started", "step_finished", "step_started"]
    (tmp_path / "hold").write_text("switch\n")
    held.wait("switch")
    (tmp_path / "hold").unlink()
    held.end()


def test_a_cancel_lets_go(tmp_path: Path) -> None:
    (tmp_path / "hold").write_text("switch")
    held = Held(tmp_path)
    held.thread.start()
    held.wait("switch")
    held.cancelled = True
    held.end()
