"""What provision owns of one app: its user, its directories, its units. Nothing that its process reads."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from hostwright.inventory import App, Host
from hostwright.recipes.render import Render
from hostwright.recipes.sandbox import template_sandbox
from hostwright.remote.release import shared
from hostwright.remote.release.layout import UNITS, Layout
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.calendar import Calendar
from hostwright.remote.resources.directory import Directory
from hostwright.remote.resources.file import File
from hostwright.remote.resources.group import Group
from hostwright.remote.resources.ssh_key import SshKey
from hostwright.remote.resources.unit import Unit
from hostwright.remote.resources.user import User

# git@host:path and ssh://: these want a key; https and file do not
SSH_URL = re.compile(r"ssh://|[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9_.-]+:")


def app_resources(app: App, host: Host, render: Render) -> list[Resource]:
    """The resources of an app on a host, in order.

    The boot unit is enabled and not started: a deploy starts the app, a boot starts what was live.

    Raises:
        RenderError
    """
    name, layout = app.name, Layout(app.name)
    units = {
        f"{UNITS}/{name}@.socket": "systemd/app@.socket.j2",
        f"{UNITS}/{name}@.service": "systemd/app@.service.j2",
        f"{UNITS}/{name}.service": "systemd/app.service.j2",
        f"/etc/tmpfiles.d/hostwright-{name}.conf": "systemd/tmpfiles.conf.j2",
    }
    resources: list[Resource] = [
        Group(name=name, system=True, app=name),
        User(name=name, system=True, home=layout.state, comment=f"the app {name}", app=name),
        Directory(name=layout.root, app=name),
        Directory(name=layout.releases, app=name),
        # other apps have no business in this one's code; that of a pyproject.toml may be installed as a package
        Directory(name=layout.trees, mode=0o750, group=name, app=name),
        Directory(name=layout.venvs, mode=0o750, group=name, app=name),
        Directory(name=layout.state, mode=0o700, owner=name, group=name, app=name),
        Directory(name=layout.runtime, app=name),
    ]
    resources += _shared(app, layout)
    resources += [
        File(name=path, content=render(template, app=app, host=host, sandbox=template_sandbox(app)), app=name)
        for path, template in units.items()
    ]
    resources.append(Unit(name=f"{name}.service", enabled=True, app=name))
    if app.timers:
        when = {timer: about.calendar for timer, about in app.timers.items()}
        resources.append(Calendar(name=name, timers=when, app=name))
    if app.is_git_url and SSH_URL.match(app.source) and not app.forward_agent:
        resources.append(SshKey(name=layout.deploy_key, comment=f"deploy {name} on {host.name}", app=name))
    return resources


def _shared(app: App, layout: Layout) -> list[Resource]:
    """The directories that outlive releases. Those above them are root's: the app could put a symlink there."""
    if not app.shared:
        return []
    above = {
        str(parent) for name in app.shared for parent in PurePosixPath(name).parents if str(parent) != "."
    }
    names = [layout.shared, *(f"{layout.shared}/{name}" for name in sorted(above))]
    return [
        *(Directory(name=name, app=app.name) for name in names),
        *(
            Directory(
                name=f"{layout.shared}/{name}",
                mode=shared.MODE,
                owner=app.name,
                group=shared.READERS,
                app=app.name,
            )
            for name in app.shared
        ),
    ]
