"""nginx in front of the apps. A switch of releases needs nothing from it, not even a reload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hostwright.inventory import App
from hostwright.recipes.front import ACME, FOLDER, Front, Static, static
from hostwright.recipes.https import Site
from hostwright.recipes.render import Render
from hostwright.remote.catalog import Handler
from hostwright.remote.resources.absent import Absent
from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.directory import Directory
from hostwright.remote.resources.file import File
from hostwright.remote.resources.log_file import LogFile
from hostwright.remote.resources.set_aside import SetAside
from hostwright.remote.resources.unit import Unit

__all__ = ["ACME", "DEFAULT_SITE", "FOLDER", "RELOAD", "SITES", "TEST", "Static", "front", "secure", "static"]

TEST = ("nginx", "-t", "-q")
RELOAD = Handler(name="reload nginx", argv=("systemctl", "reload-or-restart", "nginx.service"), validate=TEST)
SITES = "/etc/nginx/sites-enabled"
# the servers for names that no site has; there can be one, so a second project that wants another is a conflict
DEFAULT_SITE, DEFAULT_TLS_SITE = f"{SITES}/hostwright-default.conf", f"{SITES}/hostwright-default.tls.conf"
PAGES, LOGS = "/var/www/hostwright", "/var/log/nginx"
# what a CA asks for lies below; an app whose file is in there shows its maintenance page
CHALLENGES, MAINTENANCE = f"{PAGES}/acme", "/etc/hostwright/maintenance"


def front(sites: Sequence[Site], render: Render) -> list[Resource]:
    """nginx.conf, a site on port 80 for each app, what answers there for unknown names, and nginx itself.

    Raises:
        RenderError
    """
    resources: list[Resource] = [
        # Debian's welcome page; a file that somebody made out of it stays
        Absent(name=f"{SITES}/default", link_to="/etc/nginx/sites-available/default", notify=(RELOAD.name,)),
        *(Directory(name=path) for path in (PAGES, CHALLENGES, MAINTENANCE)),
        _file("/etc/nginx/nginx.conf", render("nginx/nginx.conf.j2")),
        _file(ACME, render("nginx/acme.conf.j2", peers=(), upstream="")),
    ]
    nameless = [site.app for site in sites if not site.app.domains]
    if not nameless:
        resources.append(_file(DEFAULT_SITE, render("nginx/closed.conf.j2"), yields=True))
    for app in nameless:
        # of the time when it had domains: its names would be answered twice
        resources.append(SetAside(name=_site(app), app=app.name, notify=(RELOAD.name,)))
    for site in sites:
        resources += _http(site, render)
    resources.append(Unit(name="nginx.service", enabled=True, running=True, provided_by="the package nginx"))
    return resources


def secure(sites: Sequence[Site], render: Render) -> list[Resource]:
    """The sites on port 443, each where its certificate is there, and what answers there for unknown names.

    Raises:
        RenderError
    """
    wanted = [site for site in sites if site.https]
    if not wanted:
        return []
    closed = render("nginx/closed.tls.conf.j2")
    resources: list[Resource] = []
    if all(site.app.domains for site in wanted):
        resources.append(_file(DEFAULT_TLS_SITE, closed, yields=True))
    for site in wanted:
        app, names = site.app, _names(site, render)
        content = render("nginx/site.tls.conf.j2", **names)
        parts = {f"{FOLDER}/{app.name}/redirect.conf": render("nginx/redirect.conf.j2", **names)}
        when = names["front"].tls_when
        if app.domains:
            resources.append(_file(_site(app, ".tls.conf"), content, app.name, parts=parts, when=when))
            continue
        # one file for what answers to all names: the app where its certificate is there, else nobody
        resources.append(SetAside(name=_site(app, ".tls.conf"), app=app.name, notify=(RELOAD.name,)))
        either = f"#?{{ {when}\n{content}#?}}\n#?{{ !{when}\n{closed}#?}}\n"
        redirect = {path: f"#?{{ {when}\n{text}#?}}\n" for path, text in parts.items()}
        resources.append(_file(DEFAULT_TLS_SITE, either, parts=redirect))
    return resources


def _http(site: Site, render: Render) -> list[Resource]:
    """The pages of an app, and its site on port 80 with what the one on 443 shares."""
    app, names = site.app, _names(site, render)
    resources: list[Resource] = [
        File(
            name=f"{PAGES}/{app.name}/{page}.html",
            content=render(f"nginx/{page}.html.j2", app=app),
            app=app.name,
        )
        for page in ("error", "maintenance")
    ]
    # as the package makes its own, and logrotate goes on: `nginx -t` would make them readable for everybody
    resources += [LogFile(name=f"{LOGS}/{app.name}.{log}.log", app=app.name) for log in ("access", "error")]
    folder = f"{FOLDER}/{app.name}"
    parts = {f"{folder}/{name}": render(f"nginx/{name}.j2", **names) for name in ("http.conf", "app.conf")}
    # what was there while there were other servers, or a certificate
    gone = ([] if site.peers else ["acme.conf"]) + ([] if site.https else ["redirect.conf"])
    parts.update({f"{folder}/{name}": "" for name in gone})
    if site.peers:
        upstream = names["front"].peers_upstream
        acme = render("nginx/acme.conf.j2", peers=site.peers, upstream=upstream)
        parts = {f"{folder}/acme.conf": acme, **parts}
    content = render("nginx/site.conf.j2", **names)
    if app.domains:
        resources.append(_file(_site(app), content, app.name, parts=parts))
    else:
        resources.append(_file(DEFAULT_SITE, content, parts=parts))
    return resources


def _names(site: Site, render: Render) -> dict[str, Any]:
    """What an app's templates are given."""
    return {
        "app": site.app,
        "https": site.https,
        "peers": site.peers,
        "static": static(site.app),
        "front": Front(site, render),
    }


def _site(app: App, ending: str = ".conf") -> str:
    return f"{SITES}/hostwright-{app.name}{ending}"


def _file(
    path: str,
    content: str,
    app: str = "",
    *,
    parts: Mapping[str, str] | None = None,
    when: str = "",
    yields: bool = False,
) -> File:
    return File(
        name=path,
        content=content,
        app=app,
        notify=(RELOAD.name,),
        validate=TEST,
        judges_all=True,
        conditional=True,
        parts=parts,
        when=when,
        yields=yields,
    )
