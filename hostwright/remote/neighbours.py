"""Other projects on the host whose sites would answer where ours have to. Runs on the server; only reads.

nginx takes two servers of one name without a word that anybody sees, and the first of them answers.
"""

from __future__ import annotations

from .records import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from .catalog import Catalog
    from .nginx_sites import Server
    from .records import Records
    from .system import System

SITES = "file:/etc/nginx/sites-enabled/"
DEFAULT = SITES + "hostwright-default.conf"


def check(catalog: Catalog, records: Records, system: System) -> None:
    """Are the names of our sites free?

    Raises:
        Conflict: another project has one of them, or answers to every name, as an app of ours would.
    """
    ours = {resource.id: resource for resource in catalog.resources if resource.id.startswith(SITES)}
    theirs = [found for found in _others(records) if found[0] == DEFAULT or found[0] not in ours]
    if not theirs or not ours:
        return
    from . import nginx_sites

    wanted = {
        name for site in ours.values() for name in _names(nginx_sites.servers(getattr(site, "content", "")))
    }
    for id, project in theirs:
        if id == DEFAULT:
            if id in ours and not getattr(ours[id], "yields", False):
                raise Conflict(
                    "an app of the project %r answers to every name on this server, so one of %r cannot"
                    % (project, records.project),
                    "Give the app `domains:` in the inventory of one of them.",
                )
            continue
        text = (system.read(id.split(":", 1)[1]) or b"").decode("utf-8", "replace")
        same = sorted(wanted & _names(nginx_sites.servers(text)))
        if same:
            raise Conflict(
                "%s belongs to the project %r on this server, and %r cannot have it too"
                % (" and ".join(same), project, records.project),
                "Take it out of `domains:` in the inventory of one of them; of %r first, then inv provision there."
                % project,
            )


def _others(records: Records) -> Iterator[tuple[str, str]]:
    """(id, project) of the sites that another project has and wants: what yields is given up to anybody."""
    for id, entry in records.owned.items():
        if id.startswith(SITES):
            for project, about in entry["projects"].items():
                if project != records.project and not about.get("yields"):
                    yield id, project


def _names(servers: list[Server]) -> set[str]:
    return {name for server in servers for name in server.names} - {"", "_"}
