"""Looks before the CA does: a refusal there is counted, and says less. Runs on the server, and asks the controller.

A token is laid into the webroot and fetched through the public name, by the controller and by the server itself. What
was seen is judged in judge.py; here it is gathered.
"""

from __future__ import annotations

import os

from ..resources.base import Failed
from . import directory, outlook
from .finding import Finding, judge_caa, judge_clock
from .judge import Seen, is_address, judge, private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Optional, Sequence

    from ..resources.base import Context
    from ..resources.certificate import Certificate
    from ..system import System

WEBROOT = "/var/www/hostwright/acme"
CHALLENGES = "/.well-known/acme-challenge"
MARK = "hostwright-"
# seconds the controller has for its look; all of ours
PATIENCE, ALL = 45.0, 30.0


def check(system: System, wanted: Certificate, context: Context) -> None:
    """Everything that would make the CA refuse, as far as it can be seen from here and from the controller.

    Raises:
        Failed: what to change. What is odd and not in the way is said to the user.
    """
    context.say("looking at the names as the CA will see them")
    ca = directory.ask(system, wanted.directory)
    found = _about_the_ca(wanted, ca)
    views = Views(system, wanted, context)
    try:
        views.gather()
    finally:
        views.clean()
    if views.there is None:
        context.say("nobody looked from outside: only the server's own view counts")
    found += views.findings(ca)
    for finding in found:
        if not finding.fatal:
            context.notice(" ".join(filter(None, (finding.message + ".", finding.hint))))
    fatal = [finding for finding in found if finding.fatal]
    if fatal:
        raise _failed(fatal)


def _failed(fatal: Sequence[Finding]) -> Failed:
    first = fatal[0]
    message = first.message
    tail = list(first.tail)
    said = {first.hint}
    for other in fatal[1:]:
        tail.append("also: %s" % other.message)
        tail += [other.hint] if other.hint not in said else []
        said.add(other.hint)
    hint = " ".join(
        filter(None, (first.hint, "The CA was not asked; run the command again when that is done."))
    )
    return Failed(message, hint, tail=[line for line in tail if line][:20], reason="preflight")


def _about_the_ca(wanted: Certificate, ca: directory.Directory) -> list[Finding]:
    found = []
    wild = [name for name in wanted.domains if name.startswith("*.")]
    if wild and not wanted.dns_auth:
        found.append(
            Finding(
                True,
                "%s can only be proved through the DNS" % wild[0],
                "A wildcard needs DNS-01: tls: {dns: {auth: PROGRAM}}.",
            )
        )
    if wanted.profile and ca.profiles and wanted.profile not in ca.profiles:
        found.append(
            Finding(
                True,
                "the CA has no profile %s" % wanted.profile,
                "It has: %s. Change `profile:` in the inventory." % ", ".join(ca.profiles),
            )
        )
    if ca.wants_account and not wanted.eab_kid:
        found.append(
            Finding(
                True,
                "the CA only serves its customers: it wants an external account binding",
                "Put what it gave you into the inventory: tls: {eab: {kid: ..., hmac_key: {from_env: NAME}}}.",
            )
        )
    return found


class Views:
    """What the server and the controller see of the names of a certificate."""

    def __init__(self, system: System, wanted: Certificate, context: Context) -> None:
        self._system = system
        self._wanted = wanted
        self._context = context
        self._token = os.urandom(16).hex()
        self._path = "%s/%s%s" % (CHALLENGES, MARK, os.urandom(8).hex())
        # over HTTP the names themselves are proved; through the DNS it is their records alone that count
        names = [name for name in wanted.domains if not name.startswith("*.")]
        self._names = [] if wanted.dns_auth else [*names, *wanted.addresses]
        self.here: Mapping[str, Any] = {}
        self.there: Optional[Mapping[str, Any]] = None
        self._sent = 0.0

    def gather(self) -> None:
        """Lay the token down, and let both look for it at the same time."""
        if self._names:
            self._lay_down()
        self._sent = self._system.now()
        data = {
            "names": self._names,
            "domains": list(self._wanted.domains),
            "path": self._path,
            "token": self._token,
            "reached": self._wanted.reached,
        }
        both = {
            "there": lambda: self._context.ask("reachable", data, PATIENCE),
            "here": lambda: look_from_here(self._names, self._path, self._token),
        }
        seen = outlook.all_in_time(both, PATIENCE + ALL, None)
        self.there, self.here = seen["there"], seen["here"] or {}

    def clean(self) -> None:
        """Take the token away."""
        self._system.unlink(WEBROOT + self._path)

    def _lay_down(self) -> None:
        folder = WEBROOT + CHALLENGES
        if self._system.stat(folder) is None:
            self._system.mkdir(folder)
        for name in self._system.listdir(folder):
            if name.startswith(MARK):  # of a run that was killed
                self._system.unlink("%s/%s" % (folder, name))
        self._system.write_atomic(WEBROOT + self._path, self._token.encode(), mode=0o644)

    def findings(self, ca: directory.Directory) -> list[Finding]:
        """What is to be said about them."""
        there = self.there or {}
        found: list[Optional[Finding]] = [judge_clock(self._ahead())]
        challenge = "dns-01" if self._wanted.dns_auth else "http-01"
        for name in self._wanted.domains:
            found.append(judge_caa(name, there.get("caa", {}).get(name), ca.identities, challenge))
        ours = [*own_addresses(self._system), *there.get("reached", ())]
        ours += [self._wanted.reached] if is_address(self._wanted.reached) else []
        public = [address for address in ours if not private(address)]
        for name in self._names:
            seen = there.get("names", {}).get(name)
            here = self.here.get(name) or {"addresses": [], "error": "silent", "fetches": {}}
            found += judge(Seen(name, here, seen, ours, sorted(set(public or ours)), public=ca.public))
        return [finding for finding in found if finding is not None]

    def _ahead(self) -> Optional[float]:
        """Seconds by which our clock is ahead of the controller's."""
        theirs = (self.there or {}).get("now")
        return self._sent - float(theirs) if isinstance(theirs, (int, float)) else None


def look_from_here(names: Sequence[str], path: str, token: str) -> dict[str, Any]:
    """name -> the server's own view, see outlook.look; None where it took too long."""

    def looking(name: str) -> Callable[[], Any]:
        def work() -> Any:
            found = {"addresses": [name], "error": ""} if is_address(name) else outlook.resolve(name)
            return outlook.look(name, path, token, found)

        return work

    return outlook.all_in_time({name: looking(name) for name in names}, ALL, None)


def own_addresses(system: System) -> list[str]:
    """The addresses that this server has itself, without those that only it can use."""
    shown = system.run(
        ("ip", "-o", "addr", "show", "scope", "global"), timeout=10, check=False, read_only=True
    )
    found = []
    for line in shown.out.splitlines():
        words = line.split()
        if len(words) > 3 and words[2] in ("inet", "inet6"):
            found.append(words[3].partition("/")[0])
    return found
