"""What makes a server safer by default, each with a switch: `hardening: off`, or `hardening: {swap: false}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from hostwright.inventory.fields import DOMAIN, MemorySize, nothing_is_empty
from hostwright.inventory.frozen import Settings
from hostwright.inventory.written import as_written, describe

TIME = re.compile(r"([01]?[0-9]|2[0-3]):[0-5][0-9]\Z")
# HOST_NAME_MAX, hostname(7)
LONGEST_NAME = 64


def check_hostname(value: str) -> str:
    """The name of a server, with or without its domain: hostname(7)."""
    name = value.lower()
    if not DOMAIN.match(name) or name.startswith("*") or len(name) > LONGEST_NAME or name == "localhost":
        wanted = "the name of a server, such as web1.example.com, of 64 characters or less"
        raise ValueError(f"expected {wanted}, {describe(value)}")
    return name


def _time(value: object) -> object:
    """A time of the day. YAML 1.1 reads an unquoted 22:30 as a number."""
    text = as_written(value)
    if isinstance(value, bool) or not TIME.match(text):
        raise ValueError(f'expected a time of the day, such as "04:30", {describe(value)}')
    return text.rjust(5, "0")


class Updates(Settings):
    """Security updates that the server installs by itself."""

    reboot: Annotated[str, BeforeValidator(_time, json_schema_input_type=str)] | None = Field(
        default=None,
        description='When the server may reboot for an update that needs it, in its time zone, e.g. "04:30". '
        "Omit for never.",
    )


def _updates(value: object) -> object:
    """`updates: true` is the default, false is none."""
    if value is True or value is None:
        return {}
    if value is False or isinstance(value, (Mapping, Updates)):
        return None if value is False else value
    raise ValueError(f'expected true, false or {{reboot: "04:30"}}, {describe(value)}')


def _swap(value: object) -> object:
    """true: as much as the memory suggests; a size; false: none."""
    if value is None or value is True or value == "auto":
        return "auto"
    if value is False or value == "":
        return ""
    if not isinstance(value, str) or not re.fullmatch(r"[1-9][0-9]*[KMGT]", value):
        raise ValueError(f'expected true, false or a size such as "1G", {describe(value)}')
    return value


class HardeningSettings(Settings):
    """What is done to a server so that it is hard to break into. All of it is on unless it is switched off."""

    ssh: bool = Field(default=True, description="Logins with keys only, modern algorithms, no root login.")
    firewall: bool = Field(
        default=True, description="Nothing comes in except SSH, HTTP, HTTPS and `firewall`."
    )
    fail2ban: bool = Field(default=True, description="Addresses that try to break in are banned for a while.")
    updates: Annotated[
        Updates | None, BeforeValidator(_updates, json_schema_input_type=Updates | bool | None)
    ] = Field(
        default=Updates(),
        description="Security updates install themselves, and the apps are not restarted by them.",
    )
    sysctl: bool = Field(default=True, description="Safer settings of the kernel and its network.")
    journald: bool = Field(default=True, description="The journal is kept over reboots, and kept small.")
    swap: Annotated[str, BeforeValidator(_swap, json_schema_input_type=MemorySize | bool | None)] = Field(
        default="auto",
        description='A swap file where there is no swap and less than 2 GB of memory; a size such as "1G"; false.',
    )
    timesync: bool = Field(
        default=True, description="The clock is kept right, unless something else does it."
    )
    limits: bool = Field(
        default=True, description="No core dumps, no rare kernel modules, and stricter rules for new files."
    )
    nginx: bool = Field(default=True, description="nginx runs in a sandbox of systemd's.")


OFF = HardeningSettings.model_validate(dict.fromkeys(HardeningSettings.model_fields, False))


def _switch(value: object) -> object:
    """YAML reads an unquoted `off` as false and `on` as true."""
    if value is False:
        return OFF
    if value is True:
        return HardeningSettings()
    if isinstance(value, str):
        raise ValueError(f"expected on, off or a mapping, {describe(value)}")
    return nothing_is_empty(value)


Hardening = Annotated[
    HardeningSettings, BeforeValidator(_switch, json_schema_input_type=HardeningSettings | bool | None)
]
Hostname = Annotated[str, AfterValidator(check_hostname)]
