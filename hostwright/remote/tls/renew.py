"""`inv cert.renew` on the server: certbot, then the test of nginx, its reload, and a look at what it serves now."""

from __future__ import annotations

from .. import events
from ..nginx_reload import NginxReload
from ..resources.base import Failed
from ..run import StepError, explain_short
from ..system import CommandFailed, RunCancelled
from . import certbot, served, x509
from .attempts import Attempts
from .explain import understand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Sequence

    from ..run import Run
    from ..system import System

    App = Mapping[str, Any]

# after one step `renew` for each app
STEPS = ("test", "reload", "check")
TEST = ("nginx", "-t")
RELOAD = ("systemctl", "reload-or-restart", "nginx.service")
DAY = 86400
# lines of nginx that say what is wrong
TOLD = ("[emerg]", "[crit]", "[error]", "[alert]")
KEPT = "nginx goes on with what it has: the old certificate is served"
UNUSED = "the new certificate is in its file, and nginx does not serve it yet"
UNCHANGED = "what nginx serves did not change"


def job(request: Mapping[str, Any], system: System, run: Run) -> events.RunFinished:
    """Renew what is due.

    Args:
        request: `apps`, each with name, certificate (path), names, addresses, directory (URL, of the CA) and
            staging (URL, for dry tries); `force`: also what is not due; `staging`: a dry try, which keeps nothing.

    Returns:
        RunFinished with `renewed` and `not_renewed` (names of apps) in its data.
    """
    apps: Sequence[App] = request["apps"]
    renewed, failed, stopped = _renew_all(apps, request, system, run)
    if request.get("staging"):
        well = "the dry try went well: nothing was changed"
        return _finished(run, apps, [], failed, UNCHANGED if failed else well)
    if renewed:  # from here there is no way back: what lies in the files has to be served
        run.cancelled = system.cancelled = lambda: False
    stale = [] if renewed else [app for app in apps if _stale(app, system)]
    state = _state(renewed, stale, failed, system)
    if renewed or stale:
        try:
            _put_into_use(renewed or stale, system, run)
        except (StepError, CommandFailed, OSError) as error:
            failed, state = failed or explain_short(error), UNUSED
    return _finished(run, apps, renewed, failed, state, stopped)


def _renew_all(
    apps: Sequence[App], request: Mapping[str, Any], system: System, run: Run
) -> tuple[list[App], str, bool]:
    """One after another; the apps that have a new certificate, the first failure, and whether the user stopped it.

    Raises:
        RunCancelled: stopped, and nothing was renewed.
    """
    renewed: list[App] = []
    failed = ""
    for app in apps:
        try:
            if _renew(app, request, system, run):
                renewed.append(app)
        except (StepError, CommandFailed, OSError) as error:
            failed = failed or "%s: %s" % (app["name"], explain_short(error))
        except RunCancelled:
            if not renewed:
                raise
            return renewed, failed, True
    return renewed, failed, False


def _finished(
    run: Run, apps: Sequence[App], renewed: Sequence[App], failed: str, state: str, stopped: bool = False
) -> events.RunFinished:
    names = [app["name"] for app in renewed]
    return events.RunFinished(
        "failed" if failed else "cancelled" if stopped else "done",
        run.seconds,
        changed=len(names),
        failed=int(bool(failed)),
        message=failed or ("stopped by the user" if stopped else ""),
        state=state,
        data={"renewed": names, "not_renewed": [app["name"] for app in apps if app["name"] not in names]},
    )


def _state(renewed: Sequence[App], stale: Sequence[App], failed: str, system: System) -> str:
    """What is true when nginx takes what there is."""
    if renewed:
        return "renewed: %s" % ", ".join("%s, %s" % (app["name"], _until(app, system)) for app in renewed)
    if stale:
        return "nothing was due; nginx serves the newest certificate now"
    return UNCHANGED if failed else "nothing is due"


# -- the CA ------------------------------------------------------------------------------------------------------


def _renew(app: App, request: Mapping[str, Any], system: System, run: Run) -> bool:
    """Ask certbot; True when there is a new certificate."""
    name, forced, dry = str(app["name"]), bool(request.get("force")), bool(request.get("staging"))
    with run.step("renew", name) as step:
        before = x509.read(system, app["certificate"])
        if before is None:
            raise StepError("%s has no certificate yet" % name, hint="inv provision asks for the first one.")
        try:
            _ask(app, system, run, forced=forced, dry=dry)
        except Failed as error:
            raise StepError(error.message, error.tail, error.hint) from error
        after = x509.read(system, app["certificate"])
        new = not dry and after is not None and after.der != before.der
        if new:
            Attempts(system, name, app["directory"]).succeeded()
        what = ": the CA would renew it" if dry else "" if new else " is not due"
        step.detail = "%s%s, %s" % (name, what, _until(app, system))
        return new


def _ask(app: App, system: System, run: Run, *, forced: bool, dry: bool, again: bool = False) -> None:
    """Let certbot ask the CA, unless that would only make things worse; what the CA refuses is remembered.

    What passes by itself is tried `again`, once.

    Raises:
        Failed, CommandFailed
    """
    names = (*app["names"], *app["addresses"])
    attempts = Attempts(system, app["name"], app["directory"])
    if not (forced or dry):
        attempts.refuse(names)
    words = ["renew", "--cert-name", app["name"], "--no-random-sleep-on-renew", "--no-directory-hooks"]
    words += ["--force-renewal"] if forced else []
    # alone, --dry-run asks Let's Encrypt's staging, whoever the CA is
    words += ["--dry-run", "--server", app["staging"]] if dry else []
    result = certbot.run(system, words, say=run.output("renew"))
    if result.ok:
        return
    refusal = understand(result, names)
    if refusal.passing and not again:  # a busy CA, a broken connection
        system.sleep(2.0)
        _ask(app, system, run, forced=forced, dry=dry, again=True)
        return
    if not dry:
        attempts.failed(names, refusal)
    raise refusal.failed()


# -- nginx -------------------------------------------------------------------------------------------------------


def _stale(app: App, system: System) -> bool:
    """Does nginx serve another certificate than the file's?"""
    own = x509.read(system, app["certificate"])
    answers = served.ask(system, served.targets(app["names"], app["addresses"]))
    return own is not None and any(one.certificate and one.certificate.der != own.der for one in answers)


def _put_into_use(apps: Sequence[App], system: System, run: Run) -> None:
    """nginx answers with what lies in the files.

    Raises:
        StepError: it does not; the old certificate is served.
    """
    with run.step("test"):
        result = system.run(TEST, timeout=60, check=False, read_only=True)
        if not result.ok:
            lines = result.err.splitlines()
            said = [line for line in lines if any(word in line for word in TOLD)] or lines[-3:]
            raise StepError(
                "nginx refuses its configuration. %s" % KEPT,
                tuple(said[:3]),
                "inv provision --check --diff shows what differs of ours, inv provision puts it right; then again.",
            )
    with run.step("reload") as step:
        try:
            reload = NginxReload(system)
            system.run(RELOAD, timeout=90)
            step.detail = reload.finish()
        except CommandFailed as error:
            hint = "journalctl -u nginx.service on the server says why; then: inv cert.renew"
            raise StepError(
                "nginx was not reloaded: %s. %s" % (error.reason, KEPT), error.tail, hint
            ) from error
    with run.step("check") as step:
        wrong = [line for app in apps for line in _served_wrong(app, system)]
        if wrong:
            hint = "inv cert.status shows what is served; inv provision puts right what is ours."
            raise StepError("nginx does not serve the new certificate", tuple(wrong[:5]), hint)
        step.detail = "nginx serves the new certificate"


def _served_wrong(app: App, system: System) -> list[str]:
    """A line for each name with which nginx does not serve the file's certificate."""
    own = x509.read(system, app["certificate"])
    found = []
    for answer in served.ask(system, served.targets(app["names"], app["addresses"])):
        name = answer.name or app["name"]
        if answer.certificate is None:
            found.append("%s: %s" % (name, answer.problem or "no certificate"))
        elif own is None or answer.certificate.der != own.der:
            found.append("%s: serial %s, and the file has %s" % (
                name, answer.certificate.serial, own.serial if own else "none",
            ))  # fmt: skip
    return found


# -- words -------------------------------------------------------------------------------------------------------


def _until(app: App, system: System) -> str:
    found: Optional[x509.Certificate] = x509.read(system, app["certificate"])
    return "valid for %s" % _span(found.not_after - system.now()) if found else "no certificate"


def _span(seconds: float) -> str:
    """90 d, 30 h, 12 min."""
    for size, unit in ((DAY, "d"), (3600, "h")):
        if seconds >= 2 * size:
            return "%d %s" % (seconds // size, unit)
    return "%d min" % max(seconds // 60, 0)
