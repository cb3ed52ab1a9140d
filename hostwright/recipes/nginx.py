"""nginx in front of the apps. HTTP; a switch of releases needs nothing from nginx, not even a reload."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hostwright.inventory import App
from hostwright.recipes.render import Render
from hostwright.remote.catalog import Handler
from hostwright.remote.release.assets import is_shared
from hostwright.remote.resources.absent import Absent
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.file import File
from hostwright.remote.resources.set_aside import SetAside
from hostwright.remote.resources.unit import Unit

# a path that nginx.conf(5) can hold as it is
URL = re.compile(r"(/[A-Za-z0-9_.~-]+)+")
TEST = ("nginx", "-t", "-q")
RELOAD = Handler(name="reload nginx", argv=("systemctl", "reload-or-restart", "nginx.service"), validate=TEST)
SITES = "/etc/nginx/sites-enabled"
# the server for names that no site has; there can be one, so a second project that wants another is a conflict
DEFAULT_SITE = f"{SITES}/hostwright-default.conf"


def nginx(apps: Sequence[App], render: Render) -> list[Resource]:
    """nginx.conf, a site for each app, and what answers for unknown names."""
    resources: list[Resource] = [
        # Debian's welcome page; a file that somebody made out of it stays
        Absent(name=f"{SITES}/default", link_to="/etc/nginx/sites-available/default", notify=(RELOAD.name,)),
        _file("/etc/nginx/nginx.conf", render("nginx/nginx.conf.j2")),
    ]
    open_apps = [app for app in apps if not app.domains]
    if not open_apps:
        closed = render("nginx/closed.conf.j2")
        resources.append(_file(DEFAULT_SITE, closed, yields=True))
    for app in open_apps:
        # of the time when it had domains: nginx refuses the same upstream twice
        name = f"{SITES}/hostwright-{app.name}.conf"
        resources.append(SetAside(name=name, app=app.name, notify=(RELOAD.name,)))
    for app in apps:
        name = DEFAULT_SITE if app in open_apps else f"{SITES}/hostwright-{app.name}.conf"
        owner = "" if app in open_apps else app.name
        site = render("nginx/site.conf.j2", app=app, static=static(app))
        resources.append(_file(name, site, app=owner))
    resources.append(Unit(name="nginx.service", enabled=True, running=True, provided_by="the package nginx"))
    return resources


@dataclass(frozen=True)
class Static:
    """A URL path that nginx serves itself. `shared`: the app writes there, at any time and under any name."""

    url: str
    shared: bool

    @property
    def pattern(self) -> str:
        """The URL path in a regular expression."""
        return re.escape(self.url)


def static(app: App) -> list[Static]:
    """What nginx serves itself of an app, each shared directory by a URL path of its own."""
    found = {url: is_shared(directory, app.shared) for url, directory in app.static.items()}
    for url, directory in app.static.items():
        for name in app.shared:
            inside = f"{url}{name[len(directory) :]}"
            if name.startswith(f"{directory}/") and URL.fullmatch(inside):
                found[inside] = True
    return [Static(url, found[url]) for url in sorted(found)]


def _file(path: str, content: str, app: str = "", yields: bool = False) -> File:
    return File(
        name=path,
        content=content,
        app=app,
        notify=(RELOAD.name,),
        validate=TEST,
        judges_all=True,
        conditional=True,
        yields=yields,
    )
