"""The log of an app's releases on this host, and what follows from it: states, the way back.

/srv/APP/releases.jsonl: one JSON object a line, only added to.
    did      live (it took the traffic), bad (the health gate refused it), failed (it did not get that far),
             ran (its release command was started; another line says how the release ended)
    id       the release
    t        Unix seconds; for people: the order is that of the lines
    by       user@machine
    seconds  from the begin of the run until then
    commit, subject, action (deploy, rollback, restart)
    before   live only: what `current` named until then; empty for the first one
    again    live only: true when it has the code, packages and configuration that `before` has
    of       live only: the release that it is but for its environment: rollback --keep-env
    why      bad and failed only: one line
    command  ran only: its words
`current` beats the log: a power cut may have come between the rename and the line.
"""

from __future__ import annotations

import json
import shlex

from ..run import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Collection, Mapping, Optional, Sequence

    from ..system import System
    from .layout import Layout

# an abbreviated commit shorter than this says too little
SHORTEST = 4


class Known:
    """What the log says about one release.

    `verdict`: good, bad or failed; `live`: when it last went live; `ran`: its release command, if that was started.
    """

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.id: str = entry["id"]
        self.commit: str = entry.get("commit", "")
        self.subject: str = entry.get("subject", "")
        self.by: str = entry.get("by", "")
        self.when: float = entry.get("t", 0.0)
        self.seconds: float = entry.get("seconds", 0.0)
        self.before = ""
        self.again = False
        self.verdict = ""
        self.why = ""
        self.ran = ""
        self.live: Optional[float] = None

    def learn(self, entry: Mapping[str, Any], known: Mapping[str, Known]) -> None:
        """Take in a later line about the same release."""
        if entry["did"] != "live":
            # a release that was good once is not made bad by a rollback to it that failed: the cause may be elsewhere
            if self.verdict != "good":
                self.verdict = entry["did"]
            self.why = entry.get("why", "")
            return
        if self.live is None:
            # where a rollback leads is decided by the first time: later ones are rollbacks themselves
            self.before, self.again = entry.get("before", ""), bool(entry.get("again"))
            if entry.get("of") in known:
                # as after any rollback, another one goes further back
                self.before, self.again = known[entry["of"]].before, known[entry["of"]].again
            self.when, self.seconds = entry.get("t", 0.0), entry.get("seconds", 0.0)
        self.verdict, self.why, self.live = "good", "", entry.get("t", 0.0)

    @property
    def title(self) -> str:
        """One line for people."""
        return '%s  %s "%s"' % (self.id, self.commit[:7], self.subject)


def fold(lines: Sequence[bytes]) -> dict[str, Known]:
    """The releases in the order they first appear; lines that a power cut tore are passed over."""
    known: dict[str, Known] = {}
    ran: dict[str, str] = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict) or not entry.get("id"):
            continue
        if entry.get("did") in ("live", "bad", "failed"):
            known.setdefault(entry["id"], Known(entry)).learn(entry, known)
        elif entry.get("did") == "ran":
            ran[entry["id"]] = " ".join(shlex.quote(str(word)) for word in entry.get("command", ()))
    for release, command in ran.items():
        if release in known:  # else its run was interrupted: healing says so, and then it is
            known[release].ran = command
    return known


def ran_since(known: Mapping[str, Known], target: str) -> list[Known]:
    """The releases that came after this one and started their release command, whatever became of them."""
    names = list(known)
    return [known[name] for name in names[names.index(target) + 1 :] if known[name].ran]


def previous(known: Mapping[str, Known], current: str, present: Collection[str]) -> str:
    """The release that a rollback from `current` goes to, or an empty string.

    It is what was live before `current` first went live, or before that, and so on: after a rollback another
    one goes further back, and after the next deploy back to what ran before it.

    Args:
        known: from `fold`.
        current: the release that is live.
        present: the releases that are whole on disk.
    """
    seen = {current}
    at = known[current].before if current in known else ""
    same = current in known and known[current].again
    while at and at not in seen:
        seen.add(at)
        if at not in known:
            break
        if at in present and known[at].verdict == "good" and not same:
            return at
        same = same and known[at].again
        at = known[at].before
    return ""


def choose(
    known: Mapping[str, Known],
    current: str,
    present: Collection[str],
    wanted: str = "",
    damaged: Optional[Mapping[str, str]] = None,
) -> str:
    """The release to roll back to.

    Args:
        known, current, present: see `previous`.
        wanted: an id, the unique beginning of one, or the beginning of a commit; empty: the previous release.
        damaged: releases on disk that are not whole -> what is missing.

    Raises:
        StepError: there is none, or not exactly one; lists those that could be named.
    """
    candidates = [release for release in known if _usable(known, release, present) and release != current]
    if not wanted:
        found = previous(known, current, present)
        if not found:
            raise _refusal("there is no release to go back to", known, candidates)
        return found
    matches = _matches(known, present, wanted)
    if not matches:
        more = "; of a commit, at least %d characters are needed" % SHORTEST if len(wanted) < SHORTEST else ""
        raise _refusal("there is no release %s on this server%s" % (wanted, more), known, candidates)
    usable = [release for release in matches if release in candidates]
    if len(usable) == 1 or (usable and len({known[release].commit for release in usable}) == 1):
        return usable[-1]  # of several releases of one commit: the newest
    if usable:
        raise _refusal("%s means several releases" % wanted, known, usable)
    release = matches[-1]
    if release == current:
        raise StepError("%s is live already" % known[release].title)
    if damaged and release in damaged:
        message = "%s is damaged: its %s is missing on this server" % (release, damaged[release])
        raise _refusal(message, known, candidates)
    if release not in present:
        raise _refusal("%s was removed: only the newest are kept" % release, known, candidates)
    why = known[release].why or "it never went live"
    raise _refusal("%s was marked %s: %s" % (release, known[release].verdict, why), known, candidates)


def _usable(known: Mapping[str, Known], release: str, present: Collection[str]) -> bool:
    return release in present and known[release].verdict == "good"


def _matches(known: Mapping[str, Known], present: Collection[str], wanted: str) -> list[str]:
    if wanted in known:
        return [wanted]
    found = [release for release in known if release.startswith(wanted)]
    if not found and len(wanted) >= SHORTEST:
        found = [release for release, entry in known.items() if entry.commit.startswith(wanted.lower())]
    # what is gone is only of interest when nothing that is there has that name
    return [release for release in found if release in present] or found


def _refusal(message: str, known: Mapping[str, Known], candidates: Sequence[str]) -> StepError:
    tail = tuple(known[release].title for release in reversed(candidates))
    hint = "Name one of these: inv rollback --to ID" if tail else "inv deploy makes a new release."
    return StepError(message, tail, hint)


def named(known: Mapping[str, Known], wanted: str) -> str:
    """The newest release of this id or commit, or of one that begins so.

    Raises:
        StepError: there is none; lists the newest.
    """
    matches = _matches(known, known, wanted)
    if not matches:
        tail = tuple(entry.title for entry in list(known.values())[:-6:-1])
        raise StepError("no release %s was ever made here" % wanted, tail, "inv releases")
    return matches[-1]


class Log:
    """The log of one app on disk."""

    def __init__(self, system: System, layout: Layout) -> None:
        self._system = system
        self._layout = layout

    def lines(self) -> list[bytes]:
        """As they are."""
        return (self._system.read(self._layout.log) or b"").splitlines()

    def known(self) -> dict[str, Known]:
        """See `fold`."""
        return fold(self.lines())

    def add(self, did: str, release: str, **fields: Any) -> None:
        """Add a line and wait until it is on disk."""
        entry = {"did": did, "id": release, "t": round(self._system.now(), 3), **fields}
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        self._system.append(self._layout.log, line, mode=0o600)
