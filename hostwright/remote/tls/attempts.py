"""What is remembered of attempts to get a certificate, so that no run of ours uses up what a CA allows.

Let's Encrypt lets a name fail 5 times an hour, and locks it out longer each time after that. We stop at 3.
/var/lib/hostwright/certificates/APP.json (root, 0600): failures, each with at (Unix seconds), names, reason and
`counts` (the CA counts it too); retry_after (Unix seconds, or null); `begun`: an attempt was cut short.
"""

from __future__ import annotations

import json
import os

from ..resources.base import Failed
from .explain import AN_HOUR, utc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Sequence

    from ..system import System
    from .explain import Refusal

FOLDER = "/var/lib/hostwright/certificates"
# failures of a name within an hour after which we wait
LIMIT = 3
KEPT = 20


def bases(names: Sequence[str]) -> frozenset[str]:
    """The domains that a CA counts for: a wildcard's is the one below it."""
    return frozenset(name[2:] if name.startswith("*.") else name for name in names)


class Attempts:
    """The attempts for one app's certificate.

    Args:
        system: the server.
        app: the certificate's name.
        directory: URL of the ACME directory: each CA counts for itself.
    """

    def __init__(self, system: System, app: str, directory: str) -> None:
        self._system = system
        self._app = app
        self._directory = directory
        self.path = "%s/%s.json" % (FOLDER, app)
        found = self._load()
        self.failures: list[dict[str, Any]] = found["failures"]
        self.limits: list[dict[str, Any]] = found["limits"]
        # an attempt has begun where certbot had nothing yet, and has not ended
        self.begun: bool = found["begun"]

    def _load(self) -> dict[str, Any]:
        try:
            found = json.loads(self._system.read(self.path) or b"{}")
            lists = {key: [*found.get(key, ())] for key in ("failures", "limits")}
            return {**lists, "begun": found.get("begun") is True}
        except (ValueError, TypeError, AttributeError):
            return {
                "failures": [],
                "limits": [],
                "begun": False,
            }  # somebody's hand: as if nothing had happened

    def wait_until(self, names: Sequence[str]) -> Optional[float]:
        """Unix seconds before which the CA must not be asked for these names; None: it may be."""
        now = self._system.now()
        ends = [
            float(limit["until"])
            for limit in self.limits
            if limit["directory"] == self._directory
            and bases(limit["names"]) & bases(names)
            and limit["until"] > now
        ]
        for name in bases(names):
            when = sorted(
                float(failure["at"])
                for failure in self.failures
                if failure.get("counts")
                and failure.get("directory") == self._directory
                and name in bases(failure["names"])
                and now - AN_HOUR < failure["at"] <= now
            )
            if len(when) >= LIMIT:
                ends.append(when[-LIMIT] + AN_HOUR)
        return max(ends) if ends else None

    def refuse(self, names: Sequence[str]) -> None:
        """Do not ask the CA when it would only make things worse.

        Raises:
            Failed: with the time from when on it may be asked again.
        """
        until = self.wait_until(names)
        if until is None:
            return
        last = self.failures[-1] if self.failures else {}
        reason = str(last.get("reason", ""))
        raise Failed(
            "the CA was not asked again: too many attempts for these names have failed, and it locks out who goes on",
            "From %s on it may be asked again. What went wrong last is below; put that right first."
            % utc(until),
            tail=[reason] if reason else (),
            reason="rate_limited",
        )

    def failed(self, names: Sequence[str], refusal: Refusal) -> None:
        """Remember a failure of the real CA."""
        now = self._system.now()
        entry = {
            "at": now,
            "names": list(refusal.names or names),
            "reason": refusal.message,
            "counts": refusal.counts,
            "directory": self._directory,
        }
        self.failures.append(entry)
        self.begun = False
        until = refusal.retry_after
        if until is None and refusal.kind == "rate_limited":
            until = now + AN_HOUR
        if until is not None:
            self.limits.append({"until": until, "names": list(names), "directory": self._directory})
        self.save()

    def succeeded(self) -> None:
        """There is a certificate: what went wrong before is over."""
        self.failures, self.limits, self.begun = [], [], False
        self.save()

    def begin(self, fresh: bool) -> None:
        """An attempt begins; `fresh`: certbot has nothing of that name. What it leaves when it is cut is ours."""
        if fresh != self.begun:
            self.begun = fresh
            self.save()

    def save(self) -> None:
        """Write it down."""
        now = self._system.now()
        self.limits = [limit for limit in self.limits if limit["until"] > now]
        ends = [limit["until"] for limit in self.limits]
        every = {name for failure in self.failures for name in failure["names"]}
        until = self.wait_until(sorted(every)) if every else None
        ends += [until] if until is not None else []
        data = {
            "failures": self.failures[-KEPT:],
            "limits": self.limits,
            "begun": self.begun,
            "retry_after": max(ends) if ends else None,
        }
        if self._system.stat(os.path.dirname(self.path)) is None:
            self._system.mkdir(os.path.dirname(self.path), mode=0o700)
        self._system.write_atomic(self.path, json.dumps(data).encode(), mode=0o600)
