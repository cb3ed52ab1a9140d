"""First contact: what of a server's own a provision would cut. Runs on the server; only reads.

Three things of a server can be in nginx's way: an nginx.conf that somebody changed, sites that answer where ours
have to, and programs that hold its ports. Called only while nginx.conf is not ours yet.
"""

from __future__ import annotations

import os

from . import dpkg, events, nginx_sites, ports
from .catalog import Catalog
from .records import Conflict
from .resources.absent import Absent
from .resources.base import Unknown
from .resources.file import File
from .resources.set_aside import SetAside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Iterator, Optional, Sequence

    from .run import Run
    from .system import System

NGINX = "/etc/nginx"
CONF = NGINX + "/nginx.conf"
UNIT = "nginx.service"
ADOPT = "`inv provision --adopt` goes on, and keeps what it replaces or switches off."


class Cut:
    """Something that a run would cut.

    Args:
        message: what it is, where, and what would become of it.
        hint: what to do about it, other than --adopt.
        aside: the path of a site that --adopt switches off.
        adoptable: can --adopt go on with it?
    """

    def __init__(self, message: str, hint: str, aside: str = "", adoptable: bool = True) -> None:
        self.message = message
        self.hint = hint
        self.aside = aside
        self.adoptable = adoptable


class Site:
    """A file with servers that nginx includes, or will when ours is its configuration."""

    def __init__(self, path: str, content: bytes) -> None:
        self.path = path
        self.servers = nginx_sites.servers(content.decode("utf-8", "replace"))

    def __str__(self) -> str:
        names = sorted({name for server in self.servers for name in server.names} - {"", "_"})
        numbers = sorted({listen.port for server in self.servers for listen in server.listens})
        where = "port%s %s" % ("" if len(numbers) == 1 else "s", _listed(str(port) for port in numbers))
        return "%s, %s" % (" ".join(names) or "no name", where)


def meet(
    catalog: Catalog, system: System, run: Run, *, adopt: bool, check: bool, more: Sequence[Cut] = ()
) -> Catalog:
    """Tell what a run would cut; the catalog that goes on, with --adopt it switches off what clashes.

    Args:
        catalog, system, run: as everywhere.
        adopt: the user agrees.
        check: nothing is refused, only told.
        more: what would be cut besides.

    Raises:
        Conflict: something would be cut, and the user has not agreed or it has to be done by hand.
    """
    sites = _foreign(catalog, system)
    cuts = [
        *_held_ports(catalog, system),
        *_changed_conf(catalog, system),
        *_clashes(catalog, system, sites),
        *more,
    ]
    refuse(
        cuts,
        "Hostwright did not set up this server, and %s of it would be cut",
        run,
        adopt=adopt,
        check=check,
    )
    asides = [cut.aside for cut in cuts if cut.aside]
    stay = ["%s (%s)" % (site.path, site) for site in sites if site.path not in asides]
    if stay:
        words = (
            "1 other nginx site stays as it is" if len(stay) == 1 else "%d other nginx sites stay as they are"
        )
        run.emit(events.Noticed("%s: %s" % (words.replace("%d", str(len(stay))), "; ".join(stay))))
    return _without(catalog, asides) if adopt else catalog


def refuse(cuts: Sequence[Cut], words: str, run: Run, *, adopt: bool, check: bool) -> None:
    """Tell what would be cut; `words` has a place for how many things that is.

    Raises:
        Conflict: the user has not agreed, or something has to be done by hand.
    """
    refused = [cut for cut in cuts if not (adopt and cut.adoptable)]
    for cut in cuts if check else refused:
        run.emit(events.Noticed(cut.message, cut.hint))
    if not refused:
        return
    count = "one thing" if len(refused) == 1 else "%d things" % len(refused)
    if not check:
        raise Conflict(words % count + "; nothing was changed", _what_next(refused))
    run.emit(events.Noticed("a run would refuse to cut this", _what_next(refused)))


def _what_next(refused: list[Cut]) -> str:
    by_hand = [cut for cut in refused if not cut.adoptable]
    if not by_hand:
        return ADOPT
    return "Free the port yourself, --adopt does not help there. Then %s" % (
        "run this command again." if len(by_hand) == len(refused) else ADOPT
    )


def _without(catalog: Catalog, asides: list[str]) -> Catalog:
    """The catalog that sets these sites aside before it touches nginx, unless it removes them anyway."""
    removed = {resource.name for resource in catalog.resources if isinstance(resource, Absent)}
    first = next(n for n, found in enumerate(catalog.resources) if found.name.startswith(NGINX + "/"))
    notify = next(resource.notify for resource in catalog.resources if resource.name == CONF)
    more = [SetAside(name=path, notify=notify) for path in asides if path not in removed]
    resources = [*catalog.resources[:first], *more, *catalog.resources[first:]]
    return Catalog(resources, catalog.handlers, catalog.guarded)


# -- ports ---------------------------------------------------------------------------------------------------


def _held_ports(catalog: Catalog, system: System) -> Iterator[Cut]:
    """Programs other than the nginx that we manage: it could not start beside them."""
    wanted = {listen.port for site in _ours(catalog) for server in site.servers for listen in server.listens}
    for holder in ports.holders(system, wanted):
        if holder.unit == UNIT:
            continue
        pid = " (pid %d)" % holder.pid if holder.pid else ""
        message = "%s%s listens on port %d: nginx could not start" % (holder.name, pid, holder.port)
        yield Cut(message, _how_to_free(holder), adoptable=False)


def _how_to_free(holder: ports.Holder) -> str:
    if holder.name == "docker-proxy":
        return "A container publishes that port: docker ps --filter publish=%d" % holder.port
    if holder.pid == 1:
        return "A socket unit has it: systemctl list-sockets"
    if holder.unit:
        return "Stop and disable it yourself: sudo systemctl disable --now %s" % holder.unit
    if holder.pid:
        return "Stop it yourself, and what starts it: ps -fp %d" % holder.pid
    return "No process of this server has it; a container with the host's network may."


# -- nginx.conf ----------------------------------------------------------------------------------------------


def _changed_conf(catalog: Catalog, system: System) -> Iterator[Cut]:
    """An nginx.conf that is neither the package's own nor, after a run that died, ours already."""
    ours = next(resource for resource in catalog.resources if resource.name == CONF)
    content = system.read(CONF)
    if not isinstance(ours, File) or content is None or _is_ours(ours, system):
        return
    package = dpkg.conffile(system, CONF)
    if package and (not package[0] or package[1] == _md5(content)):
        return
    message = "%s was changed on this server and would be replaced" % CONF
    kept = nginx_sites.includes(ours.content)
    lost = [name for name in nginx_sites.includes(content.decode("utf-8", "replace")) if name not in kept]
    # relative to nginx.conf: ngx_conf_full_name
    lost = [name for name in lost if os.path.join(NGINX, name) not in kept]
    if lost:
        message += "; ours does not include %s" % _listed(lost)
    own = [str(site) for site in [Site(CONF, content)] if site.servers]
    if own:
        message += "; it has a site in it (%s)" % own[0]
    yield Cut(
        message, "What you need of it belongs into your project: inv template.eject nginx/nginx.conf.j2"
    )


def _is_ours(conf: File, system: System) -> bool:
    try:
        return conf.read(system)["content"] == conf.desired(system)["content"]
    except Unknown:  # nginx was never here as a package
        return False


def _package_brought(system: System, path: str, content: bytes) -> bool:
    """Is a file as its package brought it, also where dpkg was interrupted before it knew?"""
    package = dpkg.conffile(system, path)
    return package is not None and package[1] in (_md5(content), dpkg.NEW)


def _md5(content: bytes) -> str:
    """dpkg's word for a content, not a protection."""
    from hashlib import md5

    return md5(content, usedforsecurity=False).hexdigest()


# -- sites ---------------------------------------------------------------------------------------------------


def _ours(catalog: Catalog) -> list[Site]:
    files = [resource for resource in catalog.resources if isinstance(resource, File)]
    return [Site(file.name, file.content.encode()) for file in files if file.name.startswith(NGINX + "/")]


def _foreign(catalog: Catalog, system: System) -> list[Site]:
    """Sites that are there and are neither of the catalog nor as a package brought them."""
    ours = {resource.name for resource in catalog.resources if isinstance(resource, File)}
    found = []
    for folder, suffix in ((NGINX + "/conf.d", ".conf"), (NGINX + "/sites-enabled", "")):
        for name in system.listdir(folder):
            path = "%s/%s" % (folder, name)
            if name.startswith(".") or not name.endswith(suffix) or path in ours:  # glob(7) skips dot files
                continue
            content = _read(system, path)
            if content is None or _package_brought(system, _target(system, path), content):
                continue
            site = Site(path, content)
            if site.servers:
                found.append(site)
    return found


def _read(system: System, path: str) -> Optional[bytes]:
    try:
        return system.read(path)
    except OSError:  # a directory, a loop of symlinks: nginx will say so
        return None


def _target(system: System, path: str) -> str:
    link = system.readlink(path)
    return path if link is None else os.path.normpath(os.path.join(os.path.dirname(path), link))


def _clashes(catalog: Catalog, system: System, sites: list[Site]) -> Iterator[Cut]:
    removed = {
        resource.name: resource.link_to for resource in catalog.resources if isinstance(resource, Absent)
    }
    ours = [
        (server, listen)
        for site in _ours(catalog)
        for server in site.servers
        for listen in server.listens
    ]  # fmt: skip
    for site in sites:
        why, way_out = _clash(site, ours)
        if not why and site.path in removed and system.readlink(site.path) == removed[site.path]:
            why, way_out = "was changed on this server", "Or move it to a file of another name."
        if why:
            message = "%s %s; all of it would be switched off (%s)" % (site.path, why, site)
            yield Cut(message, way_out, aside=site.path)


def _clash(site: Site, ours: list[tuple[nginx_sites.Server, nginx_sites.Listen]]) -> tuple[str, str]:
    """(what a site does that ours has to, what its owner can do about it); empty when they get along.

    nginx takes one default server for an address and port, and of two servers of one name there the first.
    """
    names: set[str] = set()
    defaults: set[int] = set()
    for server in site.servers:
        for listen in server.listens:
            for our, at in ours:
                if listen.port != at.port or listen.local:
                    continue
                names |= set(server.names) & set(our.names) - {"", "_"}
                if at.default and listen.address == at.address and (listen.default or server.nameless):
                    defaults.add(at.port)
    why, ways = [], []
    if names:
        why.append("serves %s" % _listed(sorted(names)))
        ways.append("take the name out of it")
    if defaults:
        why.append("answers for all other names on port %s" % _listed(str(port) for port in sorted(defaults)))
        ways.append("give it a `server_name` and no `default_server`")
    return (_listed(why) + ", as one of ours has to", "Or %s yourself." % _listed(ways)) if why else ("", "")


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return "%s and %s" % (", ".join(first), last) if first else last
