"""`inv audit` on the server: all that it looks at, at once and in time.

Works on a server that nobody has provisioned. What cannot be seen is said as a problem and spoils nothing else.
"""

from __future__ import annotations

import time

from .. import events, facts
from . import accounts, attempts, files, kernel, keys, login, network, packages, services

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from ..conversation import Conversation
    from ..system import System

    Looks = Mapping[str, Callable[[], Any]]

# seconds for everything: apt takes most of it, and nobody waits for a slow look
TOGETHER = 20.0


def query(request: Mapping[str, Any], system: System, conversation: Conversation) -> events.RunFinished:
    """Answer with the facts, by area; an area that could not be looked at is {"problem": why}.

    Args:
        request: `apps`: names; `certificates`: app -> path of its chain; `sysctl`: names of kernel settings.
    """
    answer = at_once(looks(request, system), TOGETHER)
    answer["host"] = host(system)
    answer["now"] = system.now()
    conversation.emit(events.Answered(answer))
    return events.RunFinished("done", 0.0)


def looks(request: Mapping[str, Any], system: System) -> dict[str, Callable[[], Any]]:
    """What is looked at, by area."""
    return {
        "updates": lambda: packages.updates(system),
        "files": files.survey,
        "logins": lambda: attempts.attempts(system),
        "units": lambda: services.exposures(system),
        "ssh": lambda: login.daemon(system),
        "firewall": lambda: network.firewall(system),
        "ports": lambda: network.listeners(system),
        "accounts": lambda: accounts.accounts(system),
        "keys": lambda: keys.authorized(system, login.key_files(system)),
        "certificates": lambda: services.certificates(system, request.get("certificates", {})),
        "kernel": lambda: kernel.settings(system, request.get("sysctl", ())),
    }


def host(system: System) -> dict[str, Any]:
    """os (its name), kernel, container (what the server runs in; empty: a machine of its own)."""
    import os

    container = (system.read("/run/systemd/container") or b"").decode("ascii", "replace").strip()
    return {
        "os": facts.os_release().get("PRETTY_NAME", "Linux"),
        "kernel": os.uname().release,
        "container": container,
    }


def at_once(work: Looks, seconds: float) -> dict[str, Any]:
    """What each returns; one that raises or takes longer than that is a problem in words."""
    import threading

    found: dict[str, Any] = {}

    def call(name: str) -> None:
        try:
            found[name] = work[name]()
        except Exception as error:
            found[name] = {"problem": "%s: %s" % (type(error).__name__, error)}

    threads = [threading.Thread(target=call, args=(name,), daemon=True) for name in work]
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0.0))
    late = {"problem": "no answer within %g s" % seconds}
    return {name: found.get(name, late) for name in work}
