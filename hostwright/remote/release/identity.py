"""A release's id, when another run has made a release of that id: the later one gets another."""

from __future__ import annotations

import json
import re

from .layout import Layout
from .record import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from ..system import System

# ids are the controller's: 20261121t141502417-4f2c1d9
STAMPED = re.compile(r"([0-9]{8}t)([0-9]+)(-.*)\Z")


def free(system: System, layout: Layout, release: str) -> str:
    """This id, or that of the next millisecond which no release here has.

    Raises:
        ValueError: not an id of ours, and it is taken.
    """
    known = Log(system, layout).known()
    while release in known or system.stat(layout.release(release)):
        found = STAMPED.match(release)
        if not found:
            raise ValueError("there is a release %s already" % release)
        day, time, rest = found.groups()
        release = "%s%0*d%s" % (day, len(time), int(time) + 1, rest)
    return release


def own(request: Mapping[str, Any], system: System) -> dict[str, Any]:
    """The request of a new release, under an id of its own. The caller holds the host's lock.

    Args:
        request: `app` and `release`: id, files, and whatever else was rendered for it.
    """
    release = request["release"]["id"]
    found = free(system, Layout(request["app"]), release)
    if found == release:
        return dict(request)
    # an id has nothing that JSON would quote
    return {**request, "release": json.loads(json.dumps(request["release"]).replace(release, found))}
