"""What logins over SSH may do: `ssh:`. Whether we say anything about that at all: `hardening: {ssh: ...}`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from hostwright.inventory.fields import UserName, as_tuple, no_repeats, nothing_is_empty
from hostwright.inventory.frozen import Settings


class SshSettings(Settings):
    """Everything is off that most servers do not need."""

    root_login: bool = Field(
        default=False,
        description="Whether root may log in, with a key. It stays on where `user` is root.",
    )
    password_login: bool = Field(
        default=False, description="Whether passwords open the server too: what robots try all day."
    )
    tcp_forwarding: bool | None = Field(
        default=None,
        description="Whether ports may be forwarded (ssh -L, -J). Omit for: only where a host here jumps through it.",
    )
    agent_forwarding: bool | None = Field(
        default=None,
        description="Whether ssh agents may be forwarded. Omit for: only where an app has forward_agent.",
    )
    old_clients: bool = Field(
        default=False,
        description="Whether clients without a post-quantum key exchange get in where the server knows a better one.",
    )
    groups: Annotated[tuple[UserName, ...], BeforeValidator(as_tuple), AfterValidator(no_repeats)] = Field(
        default=(),
        description="Groups whose members may log in. Omit for hostwright-ssh, which `user` and `users` are in.",
    )


Ssh = Annotated[SshSettings, BeforeValidator(nothing_is_empty)]
