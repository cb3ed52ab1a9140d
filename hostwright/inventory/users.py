"""People who may log in: `users:`. Their keys are fetched on this machine, see user_keys.py."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from hostwright.inventory.fields import UserName, as_tuple, controller_path, no_repeats, nothing_is_empty
from hostwright.inventory.frozen import FrozenDict, Settings
from hostwright.inventory.written import describe

# ssh-keygen(1); DSA is dead, sshd(8) takes none since 7.0
TYPES = (
    *("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"),
)
LONGEST_COMMENT = 100
RSA_BITS = 2048


def check_public_key(line: str) -> str:
    """A line of authorized_keys without options: type, base64 and a comment that a terminal can show."""
    words = line.split(None, 2)
    if len(words) >= 2 and words[0] in TYPES:
        try:
            blob = base64.b64decode(words[1], validate=True)
        except (binascii.Error, ValueError):
            blob = b""
        # RFC 4253 section 6.6: the blob begins with the length and the name of its type
        size = int.from_bytes(blob[:4], "big")
        if blob[4 : 4 + size] == words[0].encode() and len(blob) > 4 + size + 4:
            _check_size(words[0], blob)
            comment = re.sub(r"[^A-Za-z0-9@._+:=/ -]", "", words[2] if len(words) > 2 else "")
            return " ".join([words[0], words[1], *comment.split()])[
                : len(words[0]) + len(words[1]) + LONGEST_COMMENT
            ]
    if "PRIVATE KEY" in line:
        raise ValueError("this is a private key: it stays with its owner; the public one ends in .pub")
    raise ValueError("expected a public key such as ssh-ed25519 AAAA..., without options before it")


def _check_size(kind: str, blob: bytes) -> None:
    if kind != "ssh-rsa":
        return
    numbers, at = [], 0
    while at + 4 <= len(blob):
        size = int.from_bytes(blob[at : at + 4], "big")
        numbers.append(int.from_bytes(blob[at + 4 : at + 4 + size], "big"))
        at += 4 + size
    bits = numbers[2].bit_length() if len(numbers) > 2 else 0
    if bits < RSA_BITS:
        raise ValueError(
            f"an RSA key of {bits} bits can be broken; sshd wants {RSA_BITS} at least: make another one"
        )


def check_key_url(value: str) -> str:
    """Where somebody publishes keys, as https://github.com/NAME.keys: https, and a path that ends so."""
    parts = urlsplit(value)
    try:
        odd = parts.port not in (None, 443) or "@" in parts.netloc or not parts.hostname
    except ValueError:
        odd = True
    if parts.scheme != "https" or odd or parts.query or parts.fragment or not parts.path.endswith(".keys"):
        raise ValueError(
            f"expected an https URL that ends in .keys, as https://github.com/ann.keys, {describe(value)}"
        )
    return value


def _key(value: object, info: ValidationInfo) -> object:
    """A key, a URL or a path on this machine; which one it is, is plain from how it begins."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected a public key, a path or a URL, {describe(value)}")
    if "://" in value:
        return check_key_url(value)
    if value.lstrip().startswith(("ssh-", "ecdsa-", "sk-")) and " " in value.strip():
        return check_public_key(value.strip())
    if "PRIVATE KEY" in value or (" " in value.strip() and "AAAA" in value):
        return check_public_key(value)
    return controller_path(value, info)


Key = Annotated[str | Path, BeforeValidator(_key, json_schema_input_type=str)]


class UserSettings(Settings):
    """Somebody who may log in."""

    keys: Annotated[tuple[Key, ...], BeforeValidator(as_tuple), AfterValidator(no_repeats)] = Field(
        default=(),
        description="Public keys: the line itself, a path on this machine, or a URL such as "
        "https://github.com/ann.keys, fetched from here.",
    )
    sudo: bool = Field(
        default=False,
        description="Whether they become root with sudo. It asks for no password: there are only keys.",
    )


def _check_login(name: str) -> str:
    if name == "root":
        raise ValueError("root is no person: let people log in as themselves, with sudo: true")
    return name


LoginName = Annotated[UserName, AfterValidator(_check_login)]
Users = Annotated[
    Mapping[LoginName, Annotated[UserSettings, BeforeValidator(nothing_is_empty)]],
    BeforeValidator(nothing_is_empty),
    AfterValidator(FrozenDict),
]
