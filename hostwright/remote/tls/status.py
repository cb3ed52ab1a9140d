"""`inv cert.status` on the server: each app's certificate, what nginx serves, and how the next renewal stands."""

from __future__ import annotations

import json

from .. import events
from ..release.processes import show
from ..release.timers import moment
from . import served, x509

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional

    from ..conversation import Conversation
    from ..system import System

NGINX = "nginx.service"
TIMER, RENEWAL = "hostwright-certbot.timer", "hostwright-certbot.service"
PROPERTIES = (
    "Id", "LoadState", "ActiveState", "Result", "ExecMainStatus", "ExecMainExitTimestamp", "NextElapseUSecRealtime",
)  # fmt: skip
# what is remembered of attempts, for the CA's limits: resources/certificate.py
REMEMBERED = "/var/lib/hostwright/certificates/%s.json"


def query(request: Mapping[str, Any], system: System, conversation: Conversation) -> events.RunFinished:
    """Answer with what is known of the certificates of `apps`, each with name, certificate, names, addresses.

    See `certificate_of` and `renewal_of` for the answer; `nginx` says whether it runs, `now` is this server's time.
    """
    apps = {app["name"]: certificate_of(system, app) for app in request["apps"]}
    shown = show(system, (NGINX, TIMER, RENEWAL), PROPERTIES)
    answer = {
        "apps": apps,
        "renewal": renewal_of(shown),
        "nginx": shown.get(NGINX, {}).get("ActiveState") == "active",
        "now": system.now(),
    }
    conversation.emit(events.Answered(answer))
    return events.RunFinished("done", 0.0)


def certificate_of(system: System, app: Mapping[str, Any]) -> dict[str, Any]:
    """One app's.

    Args:
        app: name, certificate (path of the chain), names and addresses that it should be for.

    Returns:
        path; file: see `about`, None when there is none that can be read; chain: base64 of the DER of all in the
        file; missing: names and addresses that it is not for; served: for each name what nginx answered, with name,
        problem, version, fingerprint, same (as the file), and, if it is another, certificate; sent: the chain that
        nginx sends, None where nobody can tell; failures and retry_after of earlier attempts.
    """
    pem = x509.content(system, app["certificate"])
    chain = x509.every(pem)
    own = chain[0] if chain else None
    wanted = served.targets(app["names"], app["addresses"])
    answers = served.ask(system, wanted)
    whole = next((served.whole_chain(system, answer) for answer in answers if answer.certificate), None)
    return {
        "path": app["certificate"],
        "file": about(own) if own else None,
        "readable": bool(own) or not pem,
        "chain": [_text(one.der) if one else "" for one in chain],
        "missing": [name for name in (*app["names"], *app["addresses"]) if own and not own.covers(name)],
        "served": [_answer(answer, own) for answer in answers],
        "sent": None if whole is None else [_text(der) for der in whole],
        **remembered(system, app["name"]),
    }


def about(certificate: x509.Certificate) -> dict[str, Any]:
    """What it says: names, addresses, issuer, subject, serial, not_before, not_after, key, fingerprint, self_signed."""
    fields = (
        "names", "addresses", "issuer", "subject", "serial", "not_before", "not_after", "key", "fingerprint",
        "self_signed",
    )  # fmt: skip
    return {name: getattr(certificate, name) for name in fields}


def _answer(answer: served.Answer, own: Optional[x509.Certificate]) -> dict[str, Any]:
    found = answer.certificate
    same = bool(found and own and found.der == own.der)
    return {
        "name": answer.name,
        "problem": answer.problem or ("" if found else "it sent no certificate that can be read"),
        "version": answer.version,
        "fingerprint": found.fingerprint if found else "",
        "same": same,
        "certificate": about(found) if found and not same else None,
    }


def renewal_of(shown: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The timer: there, active, next (Unix seconds); how its last run ended: result, status (exit code), last."""
    timer, service = shown.get(TIMER, {}), shown.get(RENEWAL, {})
    ended = moment(service.get("ExecMainExitTimestamp", ""))
    return {
        "there": timer.get("LoadState") == "loaded",
        "active": timer.get("ActiveState") == "active",
        "next": moment(timer.get("NextElapseUSecRealtime", "")),
        "running": service.get("ActiveState") in ("active", "activating"),
        "result": service.get("Result", "") if ended else "",
        "status": int(service.get("ExecMainStatus") or 0),
        "last": ended,
    }


def remembered(system: System, app: str) -> dict[str, Any]:
    """failures (at, names, reason) and retry_after (Unix seconds, or None) of earlier attempts."""
    try:
        found = json.loads(system.read(REMEMBERED % app) or b"{}")
        failures = [dict(item) for item in found.get("failures") or ()]
        return {"failures": failures, "retry_after": found.get("retry_after")}
    except (OSError, ValueError, TypeError, AttributeError):
        return {"failures": [], "retry_after": None}


def _text(der: bytes) -> str:
    import base64

    return base64.b64encode(der).decode("ascii")
