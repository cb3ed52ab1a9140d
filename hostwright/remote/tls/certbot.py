"""Runs certbot, one at a time, trusting what an ACME directory is trusted with here. Runs on the server."""

from __future__ import annotations

import os

from .explain import BUSY, understand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, Sequence

    from ..resources.base import Failed
    from ..system import Result, System

CERTBOT = "/opt/certbot/bin/certbot"
# CA bundles of the inventory, and the system's own; recipes/certbot.py lays the former down
BUNDLES, SYSTEM_BUNDLE = "/etc/hostwright/acme", "/etc/ssl/certs/ca-certificates.crt"
RUNTIME = "/run/hostwright"
# how files there begin that are of one run alone
LEFT = ("trusted-", "account-")
# certbot locks it with fcntl(2) for its whole life
LOCK = "/etc/letsencrypt/.certbot.lock"
# seconds for one run (a CA may take minutes to look at every name), to wait for another certbot, between two looks
LONGEST, PATIENCE, LOOK = 900.0, 600.0, 1.0


def run(
    system: System,
    words: Sequence[str],
    *,
    ca: str = "",
    say: Optional[Callable[[str], None]] = None,
    timeout: float = LONGEST,
) -> Result:
    """What certbot said and how it ended; another certbot on this server is waited for.

    Args:
        words: its command line. No secrets: they go into a file of their own (`--config`).
        ca: a CA bundle besides those of the inventory; empty for none.
        say: takes its lines as they come.
        timeout: seconds it may take.

    Raises:
        CommandFailed: it took longer.
        RunCancelled: the user stopped the run while another certbot was waited for.
    """
    end = system.monotonic() + PATIENCE
    bundle = _bundle(system, ca)
    try:
        while True:
            _wait(system, end, say)
            result = system.run(
                (CERTBOT, *words),
                timeout=timeout,
                check=False,
                env={"REQUESTS_CA_BUNDLE": bundle} if bundle else {},
                on_line=say,
            )
            # it came between our look and our start
            if result.ok or BUSY not in result.err or system.monotonic() >= end:
                return result
            system.sleep(LOOK)
    finally:
        if bundle:
            system.unlink(bundle)


def _wait(system: System, end: float, say: Optional[Callable[[str], None]]) -> None:
    """Until no other certbot runs, or the deadline: certbot itself then says that one does."""
    told = False
    while system.monotonic() < end:
        holder = system.lock_holder(LOCK)
        if holder is None:
            return
        if say and not told:
            say("waiting for another certbot: process %d, %s" % holder)
            told = True
        system.sleep(LOOK)


def trusted(system: System, ca: str = "") -> bytes:
    """The system's CAs and those of the inventory, as PEM; nothing where the system's alone count."""
    names = [name for name in system.listdir(BUNDLES) if name.endswith(".pem")]
    paths = ["%s/%s" % (BUNDLES, name) for name in names] + ([ca] if ca else [])
    parts = [found for found in map(system.read, paths) if found]
    if not parts:
        return b""
    return b"\n".join([system.read(SYSTEM_BUNDLE) or b"", *parts])


def tidy(system: System) -> None:
    """Remove what a run that was killed has left in memory; one of them may hold a secret."""
    for name in system.listdir(RUNTIME):
        if name.startswith(LEFT):
            system.unlink("%s/%s" % (RUNTIME, name))


def _bundle(system: System, ca: str) -> str:
    """A file with what is trusted, for one run; empty where certbot's own CAs are enough."""
    content = trusted(system, ca)
    if not content:
        return ""
    if system.stat(RUNTIME) is None:
        system.mkdir(RUNTIME, mode=0o700)
    path = "%s/trusted-%s.pem" % (RUNTIME, os.urandom(4).hex())
    system.write_atomic(path, content, mode=0o600)
    return path


def explain(result: Result, names: Sequence[str]) -> Failed:
    """Why it failed, in words.

    Args:
        result: of a certbot that failed.
        names: the domains and addresses it was to get a certificate for.
    """
    return understand(result, names).failed()
