"""A server: how it is reached, what runs on it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from hostwright.inventory.environment import FromEnv, text_or_reference
from hostwright.inventory.fields import (
    ControllerPath,
    HostKey,
    Jump,
    Locale,
    PackageName,
    Port,
    ServerAddress,
    TimeZone,
    UserName,
    as_tuple,
    no_repeats,
    seconds,
)
from hostwright.inventory.firewall import Firewall, FirewallSettings
from hostwright.inventory.frozen import FrozenDict, Settings
from hostwright.inventory.hardening import Hardening, HardeningSettings, Hostname
from hostwright.inventory.ssh import Ssh, SshSettings
from hostwright.inventory.tls import Tls
from hostwright.inventory.users import Users

Names = Annotated[tuple[str, ...], BeforeValidator(as_tuple), AfterValidator(no_repeats)]
Packages = Annotated[tuple[PackageName, ...], BeforeValidator(as_tuple), AfterValidator(no_repeats)]


def _no_plain_password(value: object) -> object:
    if isinstance(value, str) and value != "ask":  # never shown: it may be the password itself
        raise ValueError("a password does not belong into the file: write `ask` or {from_env: NAME}")
    if not isinstance(value, (str, dict, FromEnv)) and value is not None:
        raise ValueError("expected `ask` or {from_env: NAME}")
    return value


SudoPassword = Annotated[
    Annotated[Literal["ask"], Tag("text")] | Annotated[FromEnv, Tag("reference")],
    Discriminator(text_or_reference),
    BeforeValidator(_no_plain_password, json_schema_input_type=Literal["ask"] | FromEnv),
]


class GroupSettings(Settings):
    """What `defaults`, a group or a host may say about servers; the more particular one wins, key by key."""

    port: Port = Field(default=22, description="TCP port of the SSH server.")
    bootstrap_port: Port | None = Field(
        default=None,
        description="Port used only while `port` does not answer; provision then moves the SSH server to `port`.",
    )
    user: UserName = Field(
        default="ubuntu", description="Login that every run uses; root, or a user with sudo."
    )
    bootstrap_user: UserName | None = Field(
        default=None,
        description="Login (often root) used only while `user` cannot log in; provision then creates `user`.",
    )
    identity_file: ControllerPath | None = Field(
        default=None,
        description="Private key to log in with; ~ is the home directory, else relative to this file.",
    )
    jump: Jump | None = Field(
        default=None,
        description="Server to connect through: [user@]address[:port], a host of this file or an ssh alias.",
    )
    host_key: HostKey | None = Field(
        default=None,
        description='The only host key to accept: "ssh-ed25519 AAAA..." or its fingerprint "SHA256:...".',
    )
    sudo_password: SudoPassword | None = Field(
        default=None,
        description="Where sudo's password comes from: `ask` or {from_env: NAME}. Omit when it needs none.",
    )
    connect_timeout: Annotated[float, Field(ge=0.1, le=600), BeforeValidator(seconds(0.1, 600))] = Field(
        default=10, description="Seconds to wait for the connection."
    )
    apps: Names | None = Field(
        default=None, description="Apps that run here. Omit for every app of this file; [] for none."
    )
    tls: Tls | None = Field(
        default=None, description="Where the certificates of its apps come from; an app's own `tls` wins."
    )
    hardening: Hardening = Field(
        default=HardeningSettings(),
        description="What makes the server hard to break into: all of it unless switched off here, or `off`.",
    )
    firewall: Firewall = Field(
        default=FirewallSettings(),
        description="What may come in besides HTTP and HTTPS, and who may log in over SSH.",
    )
    hostname: Hostname | None = Field(
        default=None,
        description="What the server calls itself, e.g. web1.example.com. Omit to leave it alone.",
    )
    ssh: Ssh = Field(
        default=SshSettings(),
        description="What logins over SSH may do; `hardening: {ssh: false}` leaves it alone.",
    )
    users: Users = Field(
        default_factory=FrozenDict, description="People who may log in besides `user`, by login name."
    )
    timezone: TimeZone | None = Field(
        default=None, description="Time zone of the server, e.g. Etc/UTC. Omit to leave it alone."
    )
    locale: Locale | None = Field(
        default=None, description="Locale of the server, e.g. C.UTF-8. Omit to leave it alone."
    )
    packages: Packages = Field(default=(), description="More Debian packages to install.")
    update_packages: bool = Field(
        default=True, description="Whether the first provision installs pending package updates, once."
    )


class HostSettings(GroupSettings):
    """`defaults`: any key of a host except its address."""

    groups: Names = Field(
        default=(), description="Groups of the host, for `--host GROUP`; a later one's keys win."
    )


class HostEntry(HostSettings):
    """A host as it stands in the file."""

    address: ServerAddress | None = Field(
        default=None,
        description="Host name or IP address. Omit when the host's name here is its address or ssh alias.",
    )


class Host(HostSettings):
    """A server after merging: defaults, then its groups in order, then its own keys.

    `model_fields_set` tells what the file says from what is only a default, e.g. so that a `User` in
    ~/.ssh/config is not overruled by our default.
    """

    name: str
    address: ServerAddress
    apps: tuple[str, ...]
