"""Sandbox servers for tests; where none can run, the tests that ask for one are skipped and say why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from hostwright.errors import SandboxUnavailable
from hostwright.sandbox import Sandbox, Server, ensure
from hostwright.sandbox.base import machine_release

from .acme import SUITE as ACME_SUITE
from .acme import Bed
from .tiny import Tiny
from .vm import Site

# a server is of the machine's own distribution: it comes from the machine's own package sources
SUITES = ("jammy", "noble") if machine_release()[0] == "ubuntu" else ("bookworm", "trixie")
REPOSITORY = Path(__file__).parents[2]

FreshServer = Callable[..., Server]


class AtOnce:
    """Names what fails when it does: pytest does so at its end, and that may be a quarter of an hour away."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    @pytest.hookimpl(trylast=True)  # after the reporter's letter
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._terminal.write(f"\nFAILED {report.nodeid}\n", flush=True, red=True)


@pytest.hookimpl(trylast=True)  # the reporter is made there too
def pytest_configure(config: pytest.Config) -> None:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal and not hasattr(config, "workerinput"):  # xdist's workers have nobody to tell
        config.pluginmanager.register(AtOnce(terminal))


@pytest.hookimpl(trylast=True)  # what is not selected is gone by then
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them; files with slow tests go first, or one process waits for the other at the end."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("machine")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    """The checkout's own, shared with the developer's servers and other test runs: use names of your own."""
    try:
        ensure(print)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    return Sandbox(REPOSITORY)


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def fresh_server(sandbox: Sandbox, _numbers: Iterator[int]) -> Iterator[FreshServer]:
    """`fresh_server(name_hint, suite=SUITES[0], **options)` boots a server for this test alone.

    It is removed after the test, and by the next run when this one is killed.
    """
    names: list[str] = []

    def boot(name_hint: str = "web", suite: str = SUITES[0], **options: int) -> Server:
        name = f"{name_hint}-{os.getpid()}-{next(_numbers)}"
        names.append(name)
        return sandbox.up(name, suite=suite, ephemeral=True, say=print, **options)[0]

    yield boot
    for server in sandbox.servers():
        if server.name in names:
            sandbox.down(server.name)


@pytest.fixture(scope="session")
def acme(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """A server with a certificate authority and a DNS of its own, for all tests of this process that ask for it."""
    name = f"acme-{os.getpid()}"
    server = sandbox.up(name, suite=ACME_SUITE, ephemeral=True, say=print)[0]
    yield Bed(sandbox, server, tmp_path_factory.mktemp("acme"))
    sandbox.down(name)


@pytest.fixture(scope="session")
def saved_site(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A VM with a site, provisioned with all hardening on, for all tests of this process that ask for it."""
    try:
        ensure(print, vm=True)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    name = f"vm-{os.getpid()}"
    yield Site(tmp_path_factory.mktemp("vm"), sandbox, name, SUITES[0])
    sandbox.down(name)


@pytest.fixture
def vm(saved_site: Site, sandbox: Sandbox, tmp_path: Path, _numbers: Iterator[int]) -> Iterator[Tiny]:
    """The project `tiny` on a VM of this test's own, which serves and has all hardening on.

    It has a kernel, memory limits, swap and a firewall of its own, and goes on in seconds from what
    `saved_site` has done in minutes. For a bare VM: `fresh_server("bare", vm=True)`.
    """
    name = f"like-{os.getpid()}-{next(_numbers)}"
    yield saved_site.like(tmp_path, name)
    sandbox.down(name)
