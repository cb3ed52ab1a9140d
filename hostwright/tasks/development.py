"""`inv demo`, `inv test`, `inv check`: for this repository; a project of yours does not get them."""

# ruff: noqa: PT028 - `test` is a task

from __future__ import annotations

import sys

from invoke.context import Context
from invoke.tasks import task

from hostwright.tasks import frame
from hostwright.tasks.sandbox import root, say
from hostwright.tasks.suite import LONG, MACHINE, UNIT, Suite, tool

DEBUG = {"debug": frame.HELP["debug"]}


@task(auto_shortflags=False, help=DEBUG)
def check(c: Context, debug: bool = False) -> None:
    """Lint, format, types and import contracts."""
    with frame.errors(debug):
        suite = Suite(root())
        suite.check()
        frame.end(0 if suite.ok else 1)


@task(
    auto_shortflags=False,
    help={
        "unit": "Only the tests that need no server.",
        "long": "Only those that the others have no time for: lock-out drills, leaks of secrets, scores, bans.",
        "select": "Only tests whose name matches (pytest -k).",
        "exitfirst": "Stop after the first failure.",
        **DEBUG,
    },
)
def test(
    c: Context,
    unit: bool = False,
    long: bool = False,
    select: str | None = None,
    exitfirst: bool = False,
    debug: bool = False,
) -> None:
    """The whole test suite: checks, unit tests, and machine tests on throw-away servers."""
    with frame.errors(debug):
        suite = Suite(root())
        if not unit and not long and not select:
            suite.check()
        if not unit:
            from hostwright.errors import SandboxUnavailable
            from hostwright.sandbox import ensure

            try:
                ensure(say)
            except SandboxUnavailable as error:
                say(f"{error}\nThe machine tests are skipped.")
        parts = UNIT if unit else LONG if long else UNIT + MACHINE
        suite.run(parts, select=select or "", exitfirst=exitfirst)
        frame.end(suite.summary())


@task(
    auto_shortflags=False,
    help={
        "switches": "How many deploys and rollbacks (default 200: about 40 minutes).",
        "minutes": "Begin nothing new after so many; the same command goes on later (exit code 75).",
        "only": "Comma list: switches, killed, restarts, power, database, control, vm, ...",
        "anew": "Forget what an earlier run of as many switches has done.",
        **DEBUG,
    },
)
def soak(
    c: Context,
    switches: str = "200",
    minutes: str = "",
    only: str = "",
    anew: bool = False,
    debug: bool = False,
) -> None:
    """Switches, crashes and power cuts under load for a long time; writes docs/measurements/soak.md."""
    with frame.errors(debug):
        count = frame.number(switches, "switches", 1, 100_000)
        limit = ["--minutes", str(frame.number(minutes, "minutes", 1, 100_000))] if minutes else []
        argv = [f"--switches={count}", f"--only={only}", *limit, *(["--anew"] if anew else [])]
        frame.end(tool(root(), sys.executable, "-m", "tests.soak", *argv))


@task(
    auto_shortflags=False,
    help={
        "case": "Comma list: noop, fresh, deploy, dependency, hosts, listing, throughput, catalog. All without it.",
        "peer": "Comma list of those it is compared with: ansible, pyinfra, fabric, bash, fujin. All without it.",
        "rounds": "How often each peer does it (default 10).",
        "quick": "A smoke test of ten minutes that changes no page: fewer rounds and peers, generous bounds.",
        "out": "Folder of RESULTS.md, results.json and plots/ (default: benchmarks/).",
        **DEBUG,
    },
)
def bench(
    c: Context,
    case: str = "",
    peer: str = "",
    rounds: str = "",
    quick: bool = False,
    out: str = "",
    debug: bool = False,
) -> None:
    """Measure Hostwright against its peers and against the limit; writes benchmarks/RESULTS.md."""
    with frame.errors(debug):
        count = [f"--rounds={frame.number(rounds, 'rounds', 1, 1000)}"] if rounds else []
        flags = [*count, *(["--quick"] if quick else []), *([f"--out={out}"] if out else [])]
        frame.end(
            tool(root(), sys.executable, "-m", "benchmarks", f"--case={case}", f"--peer={peer}", *flags)
        )


@task(
    auto_shortflags=False,
    help={
        "host": "Use this server, [user@]address[:port], instead of a throw-away one.",
        "identity": frame.HELP["identity"],
        **DEBUG,
    },
)
def demo(c: Context, host: str | None = None, identity: str | None = None, debug: bool = False) -> None:
    """Boot a throw-away server, provision it, deploy app/, verify, change, deploy again, roll back."""
    with frame.errors(debug):
        from hostwright.tasks.demo import Demo

        frame.end(Demo(root(), say).run(host, identity))
