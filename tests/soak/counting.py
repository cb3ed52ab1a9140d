"""The project under load: an app that counts, in as many versions as are asked for, and how long a switch took."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostwright.sandbox import Server
from tests.machine.project import Project

APP = "counting"
SERVED = Path(__file__).with_name("served") / "counting.py"
# drain: longer than the slow requests
INVENTORY = """\
project: counting
defaults: {{user: ubuntu, identity_file: {identity}, hardening: off}}
apps:
  counting:
    module: counting:app
    requirements: requirements.txt
    health: {{path: /page, window: 0.5, timeout: 30}}
    drain: 8
    static: {{/static: static}}
    env: {{COLOUR: "0"}}
hosts:
  web1: {{address: {address}}}
"""
END = 60.0  # seconds a command may take to end after its last line
REQUIREMENTS = "uvloop\nhttptools\nwebsockets\n"


@dataclass(frozen=True)
class Switch:
    """A command that moved the traffic, or tried to.

    Attributes:
        action: what was typed after `inv`.
        typed, began, switched, drained, ended: CLOCK_MONOTONIC, seconds: the command was typed; it begins, with
            everything loaded, to connect; `current` was renamed; the old instance was told to end in its own
            time; the command was over. NaN: it did not happen.
        code: its exit code.
        lines: what it printed.
    """

    action: str
    typed: float
    began: float
    switched: float
    drained: float
    ended: float
    code: int
    lines: tuple[str, ...]

    def steps(self) -> dict[str, float]:
        """Seconds of each step of the run on the server."""
        found = {}
        for event in events(self.lines):
            if event.get("event") == "step_finished":
                found[str(event["step"])] = float(event["seconds"])
        return found

    def __str__(self) -> str:
        return "\n".join((f"$ inv {self.action}", *self.lines, f"exit code {self.code}"))


class Counting(Project):
    """A checkout of the counting app.

    Attributes:
        nice: of the controller, nice(1). Where latencies are judged it must not take the server's time; on a machine
            with much else to do it would never end.
    """

    def __init__(self, folder: Path, server: Server) -> None:
        super().__init__(folder, server, name=APP, app=APP)
        shutil.rmtree(self.folder / "app")
        (self.folder / "requirements.txt").write_text(REQUIREMENTS)
        text = INVENTORY.format(identity=server.identity_file, address=server.address)
        (self.folder / "inventory.yaml").write_text(text)
        self.version = 0
        self.colour = 0
        self.nice = 0
        self.next_version()

    def next_version(self) -> None:
        """Commit the app's next version, with an asset of its own."""
        self.version += 1
        code = SERVED.read_text().replace('VERSION = "0"', f'VERSION = "{self.version}"')
        (self.folder / "counting.py").write_text(code)
        shutil.rmtree(self.folder / "static", ignore_errors=True)
        (self.folder / "static").mkdir()
        text = f"/* version {self.version} */\n" + "p { margin: 0 }\n" * 200
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        (self.folder / "static" / f"site.{name}.css").write_text(text)
        self.commit(f"version {self.version}")

    def next_colour(self) -> None:
        """Change the environment and nothing else."""
        self.edit_inventory(f'COLOUR: "{self.colour}"', f'COLOUR: "{self.colour + 1}"')
        self.colour += 1

    def switch(self, *argv: str, code: int = 0) -> Switch:
        """Run `inv ... --json`, insist on its exit code and note when what happened.

        In production the controller is another machine. Here it shares processors with the server; see `stand_back`.
        """
        typed = time.monotonic()
        lines: list[str] = []
        times: dict[str, float] = {}
        with subprocess.Popen(
            self.argv(*argv, "--json"),
            cwd=self.folder,
            env=self.environ(PYTHONUNBUFFERED="1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            if self.nice:
                stand_back(process.pid, self.nice)
            assert process.stdout
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                for event in events((line,)):
                    name = event["step"] if event.get("event") == "step_finished" else event.get("event")
                    times.setdefault(str(name), time.monotonic())
            status = process.wait(END)
        nan = float("nan")
        done = Switch(
            " ".join(argv), typed, times.get("begun", nan), times.get("switch", nan), times.get("drain", nan),
            time.monotonic(), status, tuple(lines),
        )  # fmt: skip
        assert status == code, str(done)
        return done


def events(lines: Iterable[str]) -> list[dict[str, Any]]:
    """The events among lines of output."""
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                found.append(value)
    return found


def stand_back(pid: int, nice: int) -> None:
    """Let others go first: the process, and where sessions are scheduled as groups, its session; sched(7)."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))
