"""Every run begins by finishing or undoing what an interrupted one left, and says so."""

from __future__ import annotations

import json

from .. import events
from .beside import Beside
from .drain import Drain
from .instance import Instances
from .layout import KINDS, RUNTIME_UNITS
from .record import Log
from .shelf import Shelf
from .tree import Store, used

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Mapping, Sequence

    from ..run import Run
    from ..system import System
    from .layout import Layout
    from .record import Known


def heal(system: System, layout: Layout, run: Run) -> None:
    """Put the app's folders, instances and log in order. The caller holds the host's lock.

    Raises:
        CommandFailed, OSError
    """
    shelf, log, instances = Shelf(system, layout), Log(system, layout), Instances(system, layout)
    drain = Drain(system, layout)
    current = shelf.current()
    for path in (layout.trees, layout.venvs, layout.assets):
        Store(system, path).clean(used(system, layout.releases))
    system.remove_tree(layout.build)
    _complete_log(system, layout, run, current)
    states, draining = instances.states(), drain.active()
    if current in draining:
        drain.end(current)
    if current and shelf.whole(current) and not running(states.get(current, {})):
        instances.start(current)
        run.emit(events.Noticed("started the instance of %s, which is live and did not run" % current))
    elif current and instances.unsettled(current):
        instances.settle(current)
    for release, what in strays(states, current, draining).items():
        if what == "stop":
            # one that had the traffic may still answer what it has begun; any other has no connections
            seconds = float(shelf.about(release).get("drain", 0))
            left = drain.leave(instances, release, seconds)
            done = (
                "%s may end what it still answers: an instance"
                if left and seconds
                else "stopped the instance of %s"
            )
            run.emit(events.Noticed((done + " that an interrupted run left") % release))
        elif what == "forget":
            instances.abandon(release)
    for line in Beside(system, layout).heal(current):
        run.emit(events.Noticed(line))
    for name in unfinished(system.listdir(layout.releases), log.known(), current):
        about = shelf.about(name)
        if name.startswith("."):
            system.remove_tree("%s/%s" % (layout.releases, name))
        elif about.get("id") == name:  # else somebody's own: a release has its facts before it has its name
            shelf.remove(name)
            facts = {key: about.get(key, "") for key in ("by", "commit", "subject")}
            log.add("failed", name, why="interrupted", **facts)
            run.emit(events.Noticed("removed the release %s that an interrupted run left" % name))
    _forget_drop_ins(system, layout, instances, {*states, current})


def _complete_log(system: System, layout: Layout, run: Run, current: str) -> None:
    """`current` beats the log, and so does what lies on the disk."""
    shelf, log = Shelf(system, layout), Log(system, layout)
    last = last_live(log.lines())
    for name in forgotten(shelf, system.listdir(layout.releases), log.known(), current, last):
        _went_live(log, shelf, name, last, "found")
        run.emit(events.Noticed("the log did not know the release %s any more; now it does" % name))
        last = name
    if current and current != last:
        _went_live(log, shelf, current, last, "healed")
        run.emit(events.Noticed("%s went live when a run was interrupted; the log says so now" % current))


def _went_live(log: Log, shelf: Shelf, release: str, before: str, action: str) -> None:
    about = shelf.about(release)
    log.add(
        "live", release, before=before, by=about.get("by", ""), commit=about.get("commit", ""),
        subject=about.get("subject", ""), action=action, again=bool(before) and shelf.alike(release, before),
    )  # fmt: skip


def forgotten(
    shelf: Shelf, names: Sequence[str], known: Mapping[str, Known], current: str, last: str
) -> list[str]:
    """Releases that the log, lost or damaged by hand, does not speak of any more; the oldest first.

    An interrupted run leaves one release that no line speaks of, and the next run clears it up. So where there are
    two, or one and no line about any live release, they are the way back.
    """
    lost = [name for name in unfinished(names, known, current) if shelf.about(name).get("id") == name]
    return lost if len(lost) > 1 or (current and not last) else []


def last_live(lines: Sequence[bytes]) -> str:
    """The release that the last whole line of its kind says went live."""
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("did") == "live":
            return str(entry.get("id", ""))
    return ""


def unfinished(names: Sequence[str], known: Mapping[str, Known], current: str) -> list[str]:
    """Release folders that no log line speaks of: their run did not come to an end."""
    return [name for name in names if name != current and (name.startswith(".") or name not in known)]


RUNNING = {"active", "activating", "reloading", "refreshing", "deactivating"}


def running(kinds: Mapping[str, str]) -> bool:
    """Does the instance run, or will it without us? Both units, or the next crash leaves no socket."""
    return kinds.get("socket") in RUNNING and kinds.get("service") in RUNNING


def strays(
    states: Mapping[str, Mapping[str, str]], current: str, draining: Collection[str] = ()
) -> dict[str, str]:
    """What to do with instances that are not of the current release.

    Args:
        states: release -> kind -> active state.
        draining: those that answer their last requests until their deadline.

    Returns:
        release -> "stop" (it runs and nobody needs it) or "forget" (it has failed). One that is draining or
        stopping is left alone.
    """
    found = {}
    for release, kinds in states.items():
        service, socket = kinds.get("service", ""), kinds.get("socket", "")
        if release == current or release in draining or (service == "deactivating" and not socket):
            continue
        found[release] = "stop" if {service, socket} & RUNNING else "forget"
    return found


def _forget_drop_ins(system: System, layout: Layout, instances: Instances, needed: Collection[str]) -> None:
    prefix = layout.app + "@"
    seen = set()
    for name in system.listdir(RUNTIME_UNITS):
        for kind in KINDS:
            suffix = ".%s.d" % kind
            if name.startswith(prefix) and name.endswith(suffix):
                seen.add(name[len(prefix) : -len(suffix)])
    for release in sorted(seen - set(needed)):
        instances.unlink(release)
