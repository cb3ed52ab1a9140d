"""`inv deploy`, `inv rollback`, `inv restart` and `inv prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.tasks import task

from hostwright.errors import UsageError
from hostwright.tasks.frame import flags, number
from hostwright.tasks.session import Session

if TYPE_CHECKING:
    from hostwright.report import Report


def undo(report: Report) -> str:
    """What to type next, where a rollback would lead back to what was live: one that is the same is passed over."""
    replaced = any(
        found.data.get("before") and not found.data.get("again") for found in report.hosts.values()
    )
    return "Undo: inv rollback" if replaced else ""


def reminder(report: Report) -> str:
    """Where nobody sees what has just gone live; last, so that it is seen."""
    names = [name for name, found in report.hosts.items() if found.data.get("maintenance")]
    if not names:
        return ""
    return f"Maintenance is on at {', '.join(names)}: visitors get its page until `inv maintenance.off`."


def next_lines(report: Report, *, back: bool = True) -> str:
    """What is shown below a release that went live: the way back, where there is one, and the reminder."""
    return "\n".join(filter(None, (undo(report) if back else "", reminder(report))))


@task(
    auto_shortflags=False,
    iterable=["host"],
    help=flags(
        "host", "app", "inventory", "identity", "json", "wait", "debug",
        ref="Branch, tag or commit (default: the inventory's `ref`, else what is checked out).",
        allow_dirty="Deploy uncommitted changes as they are.",
    ),
)  # fmt: skip
def deploy(
    c: Context,
    host: Any = None,
    app: str | None = None,
    ref: str | None = None,
    allow_dirty: bool = False,
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    wait: str = "60",
    debug: bool = False,
) -> None:
    """Build a release of a commit, prove that it is healthy, switch to it."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        from hostwright.run.deploy import Deploy
        from hostwright.run.deploy import deploy as run

        refuse_dry(session)
        chosen = session.app(app)
        hosts = session.hosts(host, purpose="deploy", app=chosen.name)
        what = Deploy(session.inventory, chosen, ref, allow_dirty, session.wait(wait))
        session.begin(hosts, "deploy")
        what.prepare(session.output)
        report = run(what, hosts, session.logins, session.output)
        session.finish(report, then=next_lines(report))


@task(
    auto_shortflags=False,
    iterable=["host"],
    help=flags(
        "host", "app", "inventory", "identity", "json", "wait", "debug",
        to="Release id, the beginning of one, or a commit (default: the previous good release).",
        keep_env="Keep the variables of what is live instead of those that the release had.",
    ),
)  # fmt: skip
def rollback(
    c: Context,
    host: Any = None,
    app: str | None = None,
    to: str = "",
    keep_env: bool = False,
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    wait: str = "60",
    debug: bool = False,
) -> None:
    """Switch back to the previous good release, with its code, packages and environment as they were."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        from hostwright.run.deploy import rollback as run

        refuse_dry(session)
        chosen = session.app(app)
        hosts = session.hosts(host, purpose="deploy", app=chosen.name)
        session.begin(hosts, "rollback")
        report = run(
            session.inventory, chosen, hosts, session.logins, session.output,
            to=to, keep_env=keep_env, wait=session.wait(wait),
        )  # fmt: skip
        session.finish(report, then=next_lines(report, back=False))


@task(
    auto_shortflags=False,
    iterable=["host"],
    help=flags("host", "app", "inventory", "identity", "json", "wait", "debug"),
)
def restart(
    c: Context,
    host: Any = None,
    app: str | None = None,
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    wait: str = "60",
    debug: bool = False,
) -> None:
    """Switch to a new instance of what is live, with today's inventory: its variables, workers, limits. No build."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        from hostwright.run.restart import Restart
        from hostwright.run.restart import restart as run

        refuse_dry(session)
        chosen = session.app(app)
        hosts = session.hosts(host, purpose="deploy", app=chosen.name)
        what = Restart(session.inventory, chosen, session.wait(wait))
        session.begin(hosts, "restart")
        what.prepare()
        report = run(what, hosts, session.logins, session.output)
        session.finish(report, then=next_lines(report))


@task(
    auto_shortflags=False,
    iterable=["host"],
    help=flags(
        "host", "app", "inventory", "identity", "json", "wait", "debug",
        keep="How many releases of different code stay (default: the inventory's `keep_releases`). What is live, what "
        "a rollback goes to and what still answers stay in any case.",
    ),
)  # fmt: skip
def prune(
    c: Context,
    host: Any = None,
    app: str | None = None,
    keep: str = "",
    inventory: str | None = None,
    identity: str | None = None,
    json: bool = False,
    wait: str = "60",
    debug: bool = False,
) -> None:
    """Remove old releases, and code and environments that only they used."""
    with Session(c, inventory=inventory, identity=identity, as_json=json, debug=debug) as session:
        from hostwright.run.prune import prune as run

        refuse_dry(session)
        count = number(keep, "keep", 1, 1000) if keep else None
        chosen = session.app(app)
        hosts = session.hosts(host, purpose="deploy", app=chosen.name)
        session.begin(hosts, "prune")
        report = run(
            session.inventory,
            chosen,
            hosts,
            session.logins,
            session.output,
            keep=count,
            wait=session.wait(wait),
        )
        session.finish(report)


def refuse_dry(session: Session, what: str = "a deploy") -> None:
    """`inv --dry deploy` must never deploy.

    Raises:
        UsageError
    """
    if session.dry:
        raise UsageError(f"--dry works with provision (it means --check); there is no dry run of {what}")
