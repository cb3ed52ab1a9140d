"""`inv demo`, `inv test`, `inv check`: for this repository; a project of yours does not get them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from hostwright.tasks import frame
from hostwright.tasks.sandbox import root, say

DEBUG = {"debug": frame.HELP["debug"]}
CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
    ("lint-imports", "--no-logo"),
)


def tool(*argv: str) -> int:
    """Run a tool of the environment in the repository; its output goes to the terminal."""
    sys.stdout.flush()
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    return subprocess.run(argv, cwd=root(), env=env, stdin=subprocess.DEVNULL, check=False).returncode


@task(auto_shortflags=False, help=DEBUG)
def check(c: Context, debug: bool = False) -> None:
    """Lint, format, types and import contracts."""
    with frame.errors(debug):
        failed = [argv[0] for argv in CHECKS if tool(*argv)]
        frame.end(1 if failed else 0)


@task(
    auto_shortflags=False,
    help={
        "unit": "Only the tests that need no server.",
        "select": "Only tests whose name matches (pytest -k).",
        **DEBUG,
    },
)
def test(c: Context, unit: bool = False, select: str | None = None, debug: bool = False) -> None:  # noqa: PT028
    """The whole test suite: checks, unit tests, and machine tests on throw-away servers."""
    with frame.errors(debug):
        failed = not unit and not select and sum(tool(*argv) != 0 for argv in CHECKS) > 0
        if not unit:
            from hostwright.errors import SandboxUnavailable
            from hostwright.sandbox import ensure

            try:
                ensure(say)
            except SandboxUnavailable as error:
                say(f"{error}\nThe machine tests are skipped.")
        places = ["tests/unit", "app/tests"] if unit else ["tests/unit", "app/tests", "tests/machine"]
        select_argv = ["-k", select] if select else []
        code = tool(sys.executable, "-m", "pytest", *places, *select_argv)
        frame.end(1 if failed or code else 0)


@task(
    auto_shortflags=False,
    help={
        "switches": "How many deploys and rollbacks (default 200: about 40 minutes).",
        "minutes": "Begin nothing new after so many; the same command goes on later (exit code 75).",
        "only": "Comma list: switches, killed, restarts, power, database, control, ...",
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
        frame.end(tool(sys.executable, "-m", "tests.soak", *argv))


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
