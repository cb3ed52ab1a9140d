"""`inv cert.status`: what of a host's answer somebody should do something about. Pure."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hostwright.run.certificate_chain import issuer_of, problem_of

DAY = 86400.0
# days that a certificate is good for when it begins to need attention
SOON = 14
# how many of the names that are wrong are named
NAMED = 3


@dataclass(frozen=True)
class Trouble:
    """What needs attention.

    Args:
        host: where.
        app: whose; empty: of the whole host.
        what: one sentence without its end.
        todo: what to do, a command where there is one.
    """

    host: str
    app: str
    what: str
    todo: str


@dataclass(frozen=True)
class View:
    """How one looks at the answer of one host.

    Args:
        host: its name.
        answer: see remote/tls/status.py.
        now: Unix seconds.
        days: a certificate that ends earlier needs attention.
        flags: what a command needs to mean this host: ` --host web1`, or nothing.
        app_flag: whether commands need `--app`.
    """

    host: str
    answer: Mapping[str, Any]
    now: float
    days: int
    flags: str = ""
    app_flag: bool = False

    def command(self, name: str, app: str = "") -> str:
        """A command for this host, and for an app where it takes one."""
        return f"inv {name}{self.flags}" + (f" --app {app}" if app and self.app_flag else "")


def ends_soon(certificate: Mapping[str, Any], now: float, days: int) -> bool:
    """Within `days`; one that lives less than twice as long is not renewed that early: within a tenth of its life."""
    life = certificate["not_after"] - certificate["not_before"]
    limit = days * DAY if life >= 2 * days * DAY else life / 10
    return bool(certificate["not_after"] - now < limit)


def troubles(view: View, asked: Sequence[Mapping[str, Any]]) -> list[Trouble]:
    """All that needs attention on a host.

    Args:
        view: its answer.
        asked: the apps that it was asked for.
    """
    found: list[Trouble] = []
    if asked and not view.answer["nginx"]:
        todo = f"{view.command('provision')} starts it."
        found.append(Trouble(view.host, "", "nginx does not run: nothing is served", todo))
    for app in asked:
        found += [Trouble(view.host, app["name"], what, todo) for what, todo in _of_app(view, app)]
    return found + [Trouble(view.host, "", what, todo) for what, todo in _of_renewal(view, asked)]


def _of_app(view: View, app: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    answer = view.answer["apps"][app["name"]]
    certificate = answer["file"]
    if certificate is None:
        what = "there is no certificate yet" if answer["readable"] else f"{answer['path']} cannot be read"
        yield what + _last_failure(view, answer), _new_one(view, app)
        return
    yield from _of_time(view, app, certificate)
    if answer["missing"]:
        what = f"the certificate is not for {_some(answer['missing'])}"
        again = f"{view.command('provision')} asks for one with all names." if app["kind"] == "acme" else ""
        yield what, again or _new_one(view, app)
    if view.answer["nginx"]:
        yield from _of_serving(view, app, answer)
    wrong = chain_problem(answer)
    if wrong:
        forced = f"{view.command('cert.renew', app['name'])} --force"
        yield f"the chain is not complete: {wrong}", forced if app["kind"] == "acme" else _new_one(view, app)
    if certificate["issuer"].startswith("(STAGING)"):
        yield "it is from the CA's staging: no browser trusts it", _new_one(view, app)
    failed = _last_failure(view, answer)
    if failed and answer["failures"][-1]["at"] > certificate["not_before"]:
        yield failed.removeprefix("; "), f"Put right what it says, then: {view.command('provision')}"


def _of_time(view: View, app: Mapping[str, Any], certificate: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    left = certificate["not_after"] - view.now
    todo = view.command("cert.renew", app["name"]) if app["kind"] == "acme" else _new_one(view, app)
    if certificate["not_before"] > view.now + 60:
        yield f"it is not valid before {day(certificate['not_before'])}: is the clock right?", "timedatectl"
    if left <= 0:
        yield f"it expired {span(-left)} ago, on {day(certificate['not_after'])}", todo
    elif ends_soon(certificate, view.now, view.days):
        yield f"it expires in {span(left)}, on {day(certificate['not_after'])}", todo


def _of_serving(view: View, app: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    by_problem: dict[str, list[str]] = {}
    for one in answer["served"]:
        if one["problem"]:
            by_problem.setdefault(one["problem"], []).append(one["name"] or "any name")
    for problem, names in by_problem.items():
        yield f"it is not served for {_some(names)}: {problem}", view.command("provision")
    others = [one for one in answer["served"] if one["certificate"]]
    if others:
        it = others[0]["certificate"]
        older = answer["file"] and it["not_before"] < answer["file"]["not_before"]
        which = "an older one" if older else "another one"
        what = (
            f"nginx does not serve the file's certificate for {_some([one['name'] or 'any name' for one in others])}, "
            f"but {which} of {it['issuer'] or 'nobody'} until {day(it['not_after'])}"
        )
        reload = "On the server: nginx -t && systemctl reload nginx"
        yield what, view.command("cert.renew", app["name"]) if app["kind"] == "acme" else reload


def _of_renewal(view: View, asked: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What is wrong with the timer, which is for all apps of a host."""
    names = [app["name"] for app in asked if app["kind"] == "acme"]
    files = [found for name in names if (found := view.answer["apps"][name]["file"])]
    if not files:
        return
    renewal = view.answer["renewal"]
    if not renewal["active"]:
        what = "is not active" if renewal["there"] else "is not there"
        yield f"nothing renews the certificates: hostwright-certbot.timer {what}", view.command("provision")
    if renewal_failed(view.answer) and min(file["not_before"] for file in files) < renewal["last"]:
        code = f"exit code {renewal['status']}" if renewal["result"] == "exit-code" else renewal["result"]
        what = f"the last renewal failed {span(view.now - renewal['last'])} ago ({code})"
        yield what, f"{view.command('cert.renew')} tries again and says why."


def renewal_failed(answer: Mapping[str, Any]) -> bool:
    """Did the timer's last run end badly?"""
    renewal = answer["renewal"]
    return not renewal["running"] and renewal["result"] not in ("", "success")


def _last_failure(view: View, answer: Mapping[str, Any]) -> str:
    if not answer["failures"]:
        return ""
    last = answer["failures"][-1]
    text = f"; the last attempt failed {span(view.now - last['at'])} ago: {last.get('reason') or 'no reason is known'}"
    again = answer["retry_after"]
    if again and again > view.now:
        text += f" (the CA may be asked again in {span(again - view.now)})"
    return text


def _new_one(view: View, app: Mapping[str, Any]) -> str:
    if app["kind"] == "files":
        return f"Put a new one where the inventory says, then: {view.command('provision')}"
    return view.command("provision")


def chain_problem(answer: Mapping[str, Any]) -> str:
    """What is wrong with the chain that nginx sends, else with the file's."""
    ders = answer["chain"] if answer["sent"] is None else answer["sent"]
    if "" in ders:
        return "it holds a certificate that cannot be read"
    return problem_of([base64.b64decode(der) for der in ders]) if ders else ""


def issuer(answer: Mapping[str, Any]) -> str:
    """Who issued the file's certificate, as people know it."""
    found = answer["file"]
    if found["self_signed"]:
        return "self-signed"
    return issuer_of(base64.b64decode(answer["chain"][0])) or str(found["issuer"])


def told(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as --json shows it: without the certificates themselves."""
    apps = {}
    for name, app in answer["apps"].items():
        shown = {key: value for key, value in app.items() if key not in ("chain", "sent", "readable")}
        wrong = chain_problem(app)
        apps[name] = {**shown, "chain": {"length": len(app["chain"]), "ok": not wrong, "problem": wrong}}
    return {**answer, "apps": apps}


# -- words -------------------------------------------------------------------------------------------------------


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def day(when: float) -> str:
    """2027-01-24, UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(when))


def span(seconds: float) -> str:
    """A span of time, never more than it is: 64 d, 30 h, 12 min, 40 s."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0) // 1:.0f} s"
