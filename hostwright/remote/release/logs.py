"""`inv logs` on the server: what the app's instances wrote."""

from __future__ import annotations

from collections import deque

from .. import events
from ..run import StepError
from ..system import RunCancelled
from .layout import Layout
from .listening import Listener
from .record import Log, named
from .shelf import Shelf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..conversation import Conversation
    from ..system import System

# journalctl(1) --output: time and unit before each line; only the text; one JSON object a line
FORMATS = ("short-iso", "cat", "json")
NO_UNIT = "Failed to add filter for units: No data available"
YEAR, HOUR = 365 * 86400.0, 3600.0


def arguments(layout: Layout, request: Mapping[str, Any], current: str) -> tuple[str, ...]:
    """The journalctl(1) of a request.

    Args:
        request: `lines`, `follow`, `since` and `until` (systemd.time(7)), `grep` (a regular expression),
            `all` (of every release, not only the live one), `release` (an id), `format`, `process` (what runs
            beside the web server, or a timer's job; through all releases if none is named).
        current: the live release.

    Raises:
        StepError: there is nothing to show, or an unknown format.
    """
    release = str(request.get("release") or current)
    process = str(request.get("process") or "")
    if not release and not request.get("all"):
        raise StepError("nothing was deployed yet", hint="inv deploy makes the first release.")
    shape = str(request.get("format") or FORMATS[0])
    if shape not in FORMATS:
        raise StepError("unknown format %r; there are %s" % (shape, ", ".join(FORMATS)))
    unit = "%s@*" % layout.app if request.get("all") else "%s@%s.*" % (layout.app, release)
    if process:
        # through all releases, if none is named: the job of last night, the worker before the last deploy
        unit = "%s.%s@%s.service" % (layout.app, process, request.get("release") or "*")
    argv = ["journalctl", "--unit=" + unit, "--no-pager", "--quiet", "--no-hostname", "--output=" + shape]
    count, follow = int(request.get("lines") or 0), bool(request.get("follow"))
    if request.get("since") and count:
        # up to systemd 254 these would be the first lines since then; the last ones are meant
        argv.append("--lines=all" if follow else "--lines=%d" % count)
        argv += [] if follow else ["--reverse"]
    else:
        argv.append("--lines=%d" % count if count else "--lines=all")
    for name in ("since", "until", "grep"):
        if request.get(name):
            argv.append("--%s=%s" % (name, request[name]))
    if follow:
        argv.append("--follow")
    return tuple(argv)


def query(request: Mapping[str, Any], system: System, conversation: Conversation) -> events.RunFinished:
    """Send the lines as Output events of the app; with `follow` until the controller goes."""
    layout = Layout(request["app"])
    if request.get("release"):
        request = {**request, "release": named(Log(system, layout).known(), str(request["release"]))}
    shelf = Shelf(system, layout)
    if request.get("process"):
        _check_name(shelf, request)
    argv = arguments(layout, request, shelf.current())
    listener = Listener(conversation)
    system.cancelled = listener.cancelled
    follow = bool(request.get("follow"))
    send, newest_first = listener.line(layout.app), deque[str]()
    try:
        result = system.stream(
            argv,
            timeout=YEAR if follow else HOUR,
            on_out=newest_first.appendleft if "--reverse" in argv else send,
            on_err=lambda line: None,
        )
    except RunCancelled:
        listener.check()
        raise
    for line in newest_first:
        send(line)
    listener.check()
    if NO_UNIT in result.err:
        # what journalctl(1) says of a pattern that fits no unit in the journal
        which = request.get("process") or request.get("release") or layout.app
        hint = "A timer's job writes when it runs: inv status shows when." if request.get("process") else ""
        raise StepError("%s has written nothing yet" % which, hint=hint)
    # 1 without a word: nothing matched --grep
    if result.exit_code not in (0, 1) or (result.exit_code == 1 and result.err.strip()):
        tail = result.tail() or ("it ended with exit code %d" % result.exit_code,)
        hint = "Times are written as in systemd.time(7): -2h, yesterday." if "timestamp" in tail[-1] else ""
        raise StepError("journalctl: " + tail[-1], tail[:-1], hint)
    return events.RunFinished("done", 0.0)


def _check_name(shelf: Shelf, request: Mapping[str, Any]) -> None:
    """Does any release have a process or a timer of that name?"""
    names: set[str] = set()
    for release in shelf.present():
        about = shelf.about(release)
        names.update(about.get("processes") or {}, about.get("timers") or {})
    if request["process"] not in names:
        there = "There are: %s" % ", ".join(sorted(names)) if names else "The app has none."
        raise StepError("%s has no process or timer %r" % (request["app"], request["process"]), hint=there)
