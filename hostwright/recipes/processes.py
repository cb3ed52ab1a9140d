"""The unit files of what a release runs beside its web server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hostwright.inventory import App
from hostwright.recipes.render import Render
from hostwright.remote.release.processes import process_unit
from hostwright.remote.release.timers import timer_unit

FOLDER = "units/extra/"
START = "units/start"


def process_files(
    app: App, release: Any, properties: Sequence[str], render: Render
) -> dict[str, tuple[str, int]]:
    """What lies in the release's folder: path -> content and mode. Empty when it runs nothing else.

    Args:
        release: with an `id`.
        properties: user, environment, sandbox and limits, as lines of a [Service] section.

    Raises:
        RenderError
    """
    files, start = {}, []
    names = {"app": app, "release": release, "properties": [_written(line) for line in properties]}
    for name, process in app.processes.items():
        unit = process_unit(app.name, name, release.id)
        given = {"name": name, "process": process, "command": exec_words(process.argv)}
        files[FOLDER + unit] = render("systemd/process.service.j2", **names, **given)
        start.append(unit)
    for name, timer in app.timers.items():
        given = {"name": name, "timer": timer, "command": exec_words(timer.argv)}
        files[FOLDER + process_unit(app.name, name, release.id)] = render(
            "systemd/job.service.j2", **names, **given
        )
        files[FOLDER + timer_unit(app.name, name)] = render("systemd/job.timer.j2", **names, **given)
        start.append(timer_unit(app.name, name))
    if start:
        files[START] = "".join(unit + "\n" for unit in start)
    return {path: (content, 0o644) for path, content in files.items()}


def process_fields(app: App) -> dict[str, Any]:
    """What the server must know of them besides their unit files."""
    return {
        "processes": {
            name: {"argv": list(p.argv), "overlap": p.overlap, "window": p.window, "stop": p.stop}
            for name, p in app.processes.items()
        },
        "timers": {
            name: {"argv": list(timer.argv), "calendar": timer.calendar} for name, timer in app.timers.items()
        },
    }


def _written(line: str) -> str:
    """A setting as a unit file has it: "%" begins a specifier, except where it is a unit; systemd.unit(5)."""
    return line if line.startswith("CPUQuota=") else line.replace("%", "%%")


def exec_words(argv: Sequence[str]) -> str:
    """The words of ExecStart=, each as it is: systemd.service(5) "Command lines", systemd.syntax(7) "Quoting"."""
    return " ".join(f'"{_quoted(word)}"' for word in argv)


def _quoted(word: str) -> str:
    for special, written in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(special, written)
    return word
