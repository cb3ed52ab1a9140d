"""What may come into a server: `firewall:`. Whether there is a firewall at all says `hardening: {firewall: ...}`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from hostwright.inventory.fields import as_tuple, no_repeats
from hostwright.inventory.frozen import Settings
from hostwright.inventory.nginx import check_network
from hostwright.inventory.written import as_written, describe, is_surprising

PORT = re.compile(r"([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?(?:/(tcp|udp))?\Z")
WANTED = 'expected a port such as 8443, "51820/udp" or "60000-61000/udp"'


def check_port(value: object) -> object:
    """A port, a range of ports, each with its protocol; without one it is TCP."""
    number = isinstance(value, int) and not isinstance(value, bool) and not is_surprising(value)
    if not number and not isinstance(value, str):
        raise ValueError(f"{WANTED}, {describe(value)}")
    found = PORT.match(as_written(value))
    ends = [int(end) for end in found.groups()[:2] if end] if found else []
    if not found or max(ends) > 65535 or ends != sorted(set(ends)):
        raise ValueError(f"{WANTED}, {describe(value)}")
    return f"{'-'.join(map(str, ends))}/{found[3] or 'tcp'}"


def check_source(value: str) -> str:
    """An IP address or a network that something may come from."""
    try:
        everybody = ipaddress.ip_network(value, strict=False).prefixlen == 0
    except ValueError:
        everybody = False
    if everybody:
        raise ValueError(f"everybody is in {value}: to let everybody in, leave this out")
    return check_network(value)


def _port_alone(value: object) -> object:
    """`8443` is short for `{port: 8443}`."""
    return value if isinstance(value, (Mapping, Allow)) else {"port": check_port(value)}


def _no_repeats(values: tuple[Allow, ...]) -> tuple[Allow, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f'"{value.port}" is listed twice')
    return values


def _no_switch(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(
            f"what may come in stands here; the switch is `hardening: {{firewall: {str(value).lower()}}}`"
        )
    return {} if value is None else value


Source = Annotated[str, AfterValidator(check_source)]
Sources = Annotated[tuple[Source, ...], BeforeValidator(as_tuple), AfterValidator(no_repeats)]


class Allow(Settings):
    """A port that is open besides those of SSH, HTTP and HTTPS; also of a container."""

    port: Annotated[str, BeforeValidator(check_port, json_schema_input_type=int | str)] = Field(
        description='A TCP port, or "51820/udp", or a range such as "60000-61000/udp".'
    )
    sources: Sources = Field(
        default=(),
        alias="from",
        description="Addresses and networks it is open to. Omit for everybody.",
    )


class FirewallSettings(Settings):
    """What comes in besides HTTP and HTTPS; see docs/firewall.md."""

    allow: Annotated[
        tuple[Annotated[Allow, BeforeValidator(_port_alone, json_schema_input_type=int | str | Allow)], ...],
        BeforeValidator(as_tuple),
        AfterValidator(_no_repeats),
    ] = Field(default=(), description="More ports that are open, of programs and of containers.")
    ssh_from: Sources = Field(
        default=(), description="Addresses and networks that may log in over SSH. Omit for everybody."
    )


Firewall = Annotated[
    FirewallSettings, BeforeValidator(_no_switch, json_schema_input_type=FirewallSettings | None)
]
