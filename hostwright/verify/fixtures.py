"""The fixtures of the suite; a project's own tests in tests/server/ use them too."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from hostwright.inventory import App, Host, Inventory

if TYPE_CHECKING:
    from testinfra.host import Host as TestinfraHost

    from hostwright.recipes.https import Https
    from hostwright.verify.suite_run import Plugin
    from hostwright.verify.visitor import Visitor

PLUGIN: ContextVar[Plugin] = ContextVar("plugin")


class Silence:
    """pytest's own report is replaced by ours."""

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Take the terminal reporter out; other plugins need it to have existed."""
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter:
            config.pluginmanager.unregister(reporter)


@pytest.fixture(scope="session")
def host(server: Host) -> TestinfraHost:
    """The server as testinfra sees it, as root, over one connection."""
    return PLUGIN.get().testinfra(server)


@pytest.fixture(scope="session")
def inventory() -> Inventory:
    """The inventory that is verified."""
    return PLUGIN.get().inventory


@pytest.fixture(scope="session")
def visitor(host: Any, server: Host) -> Visitor:
    """Visits to the server's web server, from here where that is possible."""
    from hostwright.verify.visitor import Visitor

    return Visitor(host, server)


@pytest.fixture(scope="session")
def https(app: App, server: Host) -> Https:
    """The app's certificate; skips where the app is served over HTTP only."""
    from hostwright.recipes.tls import https_of

    found = https_of(app, server)
    if found is None:
        pytest.skip("served over HTTP only: tls is off")
    return found


@pytest.fixture(scope="session")
def current(host: Any, app: Any) -> str:
    """The id of the release that `current` names; skips where nothing was deployed yet."""
    link = host.file(f"/srv/{app.name}/current")
    if not link.is_symlink:
        pytest.skip("nothing deployed yet")
    return str(link.linked_to).rsplit("/", 1)[1]
