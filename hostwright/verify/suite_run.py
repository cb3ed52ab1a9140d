"""Runs the suite with pytest and reports what it asserts in sentences."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hostwright.errors import HostwrightError
from hostwright.inventory import App, Host, Inventory

if TYPE_CHECKING:
    import pytest
    from testinfra.host import Host as TestinfraHost

    from hostwright.transport.base import Transport

    Connect = Callable[[Host], Transport]

SUITE = Path(__file__).parent / "suite"


@dataclass
class Outcome:
    """One assertion: what, where, whether it held, and what was seen instead."""

    host: str
    what: str
    outcome: str
    evidence: str = ""
    seconds: float = 0.0


@dataclass
class Plugin:
    """Gives tests the fixtures `host` (testinfra), `server` (inventory), `app`, and collects their outcomes."""

    inventory: Inventory
    hosts: Sequence[Host]
    connect: Connect
    stream: TextIO
    as_json: bool
    outcomes: list[Outcome] = field(default_factory=list)
    backends: dict[str, Any] = field(default_factory=dict)

    def testinfra(self, host: Host) -> TestinfraHost:
        """The one shared connection to a host, as testinfra sees it."""
        from testinfra.host import Host as TestinfraHost

        from hostwright.verify.backend import AgentBackend

        if host.name not in self.backends:
            self.backends[host.name] = AgentBackend(host.name, self.connect(host))
        return TestinfraHost(self.backends[host.name])

    def apps(self, host: Host) -> list[App]:
        """The apps of a host."""
        return [self.inventory.apps[name] for name in host.apps]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each test runs once a host, or once an app of a host."""
        wanted = set(metafunc.fixturenames)
        if "app" in wanted:
            pairs = [(host, app) for host in self.hosts for app in self.apps(host)]
            ids = [f"{host.name}|{app.name}" for host, app in pairs]
            metafunc.parametrize(("server", "app"), pairs, ids=ids, scope="session")
        elif wanted & {"host", "server"}:
            metafunc.parametrize(
                "server", self.hosts, ids=[host.name for host in self.hosts], scope="session"
            )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One line for each assertion."""
        if report.when != "call" and report.outcome != "failed":
            return
        name, _, where = report.nodeid.rpartition("::")[2].rstrip("]").partition("[")
        host, _, app = where.partition("|")
        what = name.removeprefix("test_").replace("_", " ")
        evidence = "" if report.passed else str(report.longreprtext)
        if report.skipped and isinstance(report.longrepr, tuple):  # file, line, reason
            evidence = str(report.longrepr[2]).removeprefix("Skipped: ")
        found = Outcome(host, f"{app}: {what}" if app else what, report.outcome, evidence, report.duration)
        self.tell(found, assertion_lines(evidence))

    def reach(self) -> list[HostwrightError]:
        """Connect to all hosts; those that cannot be reached fail once, here, and not in every assertion."""
        errors, reached = [], []
        for host in self.hosts:
            try:
                self.testinfra(host)
                reached.append(host)
            except HostwrightError as error:
                errors.append(error)
                hint = [error.hint] if error.hint else []
                found = Outcome(host.name, "can be reached", "failed", error.message)
                self.tell(found, [error.message, *error.evidence, *hint])
        self.hosts = reached
        return errors

    def tell(self, found: Outcome, lines: Sequence[str]) -> None:
        """Count an outcome and show it."""
        self.outcomes.append(found)
        if self.as_json:
            print(json.dumps({"event": "verified", **vars(found)}), file=self.stream, flush=True)
            return
        mark = {"passed": "ok", "skipped": "--"}.get(found.outcome, "FAILED")
        print(f"  {mark:6} {found.host:12} {found.what}", file=self.stream, flush=True)
        for line in lines:
            print(f"         | {line}", file=self.stream)

    def close(self) -> None:
        """Close the connections."""
        for backend in self.backends.values():
            backend.close()


def assertion_lines(text: str, most: int = 12) -> list[str]:
    """The lines of a pytest failure that say what was wrong: those marked `E`."""
    marked = [line[1:].rstrip() for line in text.splitlines() if line.startswith("E ")]
    plain = [line.strip() for line in marked if line.strip()]
    return (plain or [line for line in text.splitlines() if line.strip()][-most:])[:most]


def verify(
    inventory: Inventory,
    hosts: Sequence[Host],
    connect: Connect,
    *,
    as_json: bool = False,
    stream: TextIO | None = None,
) -> int:
    """Run the suite, and the project's own tests in tests/server/ beside the inventory.

    Args:
        inventory: what should be true.
        hosts: where.
        connect: opens a connection to a host.
        as_json: one JSON object an assertion instead of lines for people.
        stream: where to write; stdout when None.

    Returns:
        0 when everything held, 1 when something did not or nothing was checked, 3 when all that failed was
        to reach a host.
    """
    import pytest

    from hostwright.verify import fixtures

    plugin = Plugin(inventory, hosts, connect, stream or sys.stdout, as_json)
    own = inventory.path.parent / "tests" / "server"
    ours = [SUITE / f"test_{name}.py" for name in ("host", "firewall", "security", "apps", "tls")]
    places = [*ours, *([own] if own.is_dir() else [])]
    # testinfra's own plugin has a `host` fixture of its own
    without = ("-p", "no:pytest11.testinfra", "-p", "no:cacheprovider")
    options = ("-c", SUITE / "pytest.ini", "--rootdir", SUITE, "--import-mode=importlib", "--tb=short")
    fixtures.PLUGIN.set(plugin)
    try:
        unreached = plugin.reach()
        code = pytest.main(
            [str(word) for word in (*places, *options, *without)],
            plugins=[plugin, fixtures, fixtures.Silence()],
        )
    finally:
        plugin.close()
    failed = sum(outcome.outcome == "failed" for outcome in plugin.outcomes)
    passed = sum(outcome.outcome == "passed" for outcome in plugin.outcomes)
    if as_json:
        print(
            json.dumps({"event": "verify_finished", "passed": passed, "failed": failed}), file=plugin.stream
        )
    else:
        print(f"\n{passed} assertions hold, {failed} do not.", file=plugin.stream)
    if unreached and failed == len(unreached):
        return unreached[0].exit_code
    return 0 if code == 0 and passed and not failed else 1
