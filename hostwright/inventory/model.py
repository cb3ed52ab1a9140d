"""The inventory: the file's shape, and what it is once loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from hostwright.inventory.app import App, AppSettings
from hostwright.inventory.fields import matching, nothing_is_empty
from hostwright.inventory.frozen import FrozenDict, Settings
from hostwright.inventory.host import GroupSettings, Host, HostEntry, HostSettings
from hostwright.inventory.reserved import check_app_name

HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}\Z")
ALL = "all"  # what --host takes for every host


def check_host_name(name: str) -> str:
    """Return `name` when a host or a group may have it; ValueError says why not."""
    if name == ALL:
        raise ValueError(f'"{ALL}" means every host: choose another name')
    if not HOST_NAME.match(name):
        raise ValueError(f'"{name}" cannot be a name here: letters, digits, dots, hyphens and underscores')
    return name


AppName = Annotated[str, AfterValidator(check_app_name)]
HostName = Annotated[str, AfterValidator(check_host_name)]
Empty = BeforeValidator(nothing_is_empty)
ProjectName = Annotated[
    str,
    matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "letters, digits, dots, hyphens and underscores", "shop"),
]


class Document(Settings):
    """inventory.yaml, as it is written. Keys that begin with x- are ignored: a place for anchors."""

    hostwright: str | None = Field(
        default=None, description='Versions of Hostwright this file is for, e.g. ">=0.1".'
    )
    project: ProjectName | None = Field(
        default=None,
        description="Whose things these are on a server. Omit for the name of this file's directory.",
    )
    defaults: Annotated[HostSettings, Empty] = Field(
        default=HostSettings(), description="Keys for all hosts; a group or a host overrides them."
    )
    apps: Annotated[Mapping[AppName, AppSettings], Empty] = Field(
        default_factory=FrozenDict,
        description="What is deployed, by name. The name is also the app's user and unit.",
    )
    groups: Annotated[Mapping[HostName, Annotated[GroupSettings, Empty]], Empty] = Field(
        default_factory=FrozenDict, description="Keys for the hosts of a group, by the group's name."
    )
    hosts: Annotated[Mapping[HostName, Annotated[HostEntry, Empty]], Empty] = Field(
        default_factory=FrozenDict, description="The servers, by name."
    )


@dataclass(frozen=True)
class Inventory:
    """A loaded inventory. Nothing in it changes.

    Attributes:
        path: the file, absolute.
        project: whose things these are on a server.
        apps: by name, in the file's order.
        groups: the names of each group's hosts, both in the file's order.
        hosts: by name, in the file's order; defaults and groups are merged in.
        defaults: what a host that is not in the file gets.
    """

    path: Path
    project: str
    apps: Mapping[str, App]
    groups: Mapping[str, tuple[str, ...]]
    hosts: Mapping[str, Host]
    defaults: HostSettings

    @property
    def base(self) -> Path:
        """The directory that relative paths of the file start from."""
        return self.path.parent

    def bare_host(self, address: str, *, user: str | None = None, port: int | None = None) -> Host:
        """A host that is not in the file: the defaults, and every app unless the defaults name some."""
        given = {key: getattr(self.defaults, key) for key in self.defaults.model_fields_set}
        if given.get("apps") is None:
            given["apps"] = tuple(self.apps)
        given |= {"user": user} if user else {}
        given |= {"port": port} if port else {}
        name = address if port is None else f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        return Host(**{**given, "name": name, "address": address})

    def jump_host(self, host: Host) -> Host | None:
        """The host of this inventory that `host.jump` names; None for an address or an ssh_config alias."""
        return self.hosts.get(host.jump) if host.jump else None
