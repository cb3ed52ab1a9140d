"""The kinds of values an inventory holds, each with a check that says in words what was expected.

The checks are strict on purpose: these values end up in argv, unit files and nginx's configuration.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import shlex
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from hostwright.errors import UsageError
from hostwright.inventory.address import USER, is_host, parse_address
from hostwright.inventory.written import describe, is_surprising

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
DOMAIN = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(\(\))?\Z", re.ASCII)
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
SUDO_ALIAS = re.compile(r"[A-Z][A-Z0-9_]*\Z")
SHELL_WORDS = frozenset({"&&", "||", ";", "|", "&", ">", ">>", "<", "2>&1"})


def whole_number(low: int, high: int | None = None) -> Callable[[object], object]:
    """A check for an integer in a range; `high` None means no upper end."""
    wanted = f"an integer from {low} to {high}" if high is not None else f"an integer of {low} or more"

    def check(value: object) -> object:
        good = isinstance(value, int) and not isinstance(value, bool) and not is_surprising(value)
        if not good or value < low or (high is not None and value > high):  # type: ignore[operator]
            raise ValueError(f"expected {wanted}, {describe(value)}")
        return value

    return check


def seconds(low: float, high: float) -> Callable[[object], object]:
    """A check for a number of seconds in a range, both ends included."""

    def check(value: object) -> object:
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and not is_surprising(value)
        if not number or math.isnan(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
            raise ValueError(f"expected seconds, a number from {low:g} to {high:g}, {describe(value)}")
        return value

    return check


def matching(pattern: str, wanted: str, example: str) -> AfterValidator:
    """A check for text of a form, e.g. `matching("[a-z]+", "lower-case letters", "web")`."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"expected {wanted}, such as {example}, {describe(value)}")
        return value

    return AfterValidator(check)


def as_tuple(value: object) -> object:
    """A YAML list; nothing at all is an empty one, because all its lines may be commented out."""
    if value is None:
        return ()
    if isinstance(value, str):
        raise ValueError(
            f"expected a list, {describe(value)}: write [{value}]" if len(value) < 60 else "expected a list"
        )
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list, {describe(value)}")
    return tuple(value)


def no_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that names something twice."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f'"{value}" is listed twice')
    return values


def plain(value: str) -> str:
    """Refuse empty text and control characters (NUL, newlines, lone surrogates)."""
    if not value.strip():
        raise ValueError("is empty")
    if CONTROL.search(value):
        raise ValueError(f"expected one line of text, {describe(value)}")
    return value


def check_server(value: str) -> str:
    """The name or address of a server, without user and port, which are keys of their own."""
    if is_host(value):
        return value
    try:
        parsed = parse_address(value)
    except UsageError:
        raise ValueError(f"expected a host name or an IP address, {describe(value)}") from None
    if parsed.user or parsed.port:
        parts = [f"`user: {parsed.user}`"] * bool(parsed.user) + [f"`port: {parsed.port}`"] * bool(
            parsed.port
        )
        raise ValueError(
            f"expected only the address, {describe(value)}: write {' and '.join(parts)} beside it"
        )
    return parsed.host


def check_user(value: str) -> str:
    """A login name, useradd(8)."""
    if not USER.match(value):
        raise ValueError(f"expected a user name, {describe(value)}")
    if SUDO_ALIAS.match(value):  # sudoers(5): ALL, or whatever somebody calls so
        raise ValueError(
            f"sudo would read it as everybody or as an alias, {describe(value)}: use a small letter"
        )
    return value


def check_jump(value: str) -> str:
    """`[user@]address[:port]`, or a name."""
    if "," in value:
        raise ValueError(f"expected one jump host, {describe(value)}; chain more in ~/.ssh/config")
    try:
        parse_address(value)
    except UsageError as error:
        raise ValueError(f"expected [user@]address[:port]: {error.message}") from None
    return value


def check_host_key(value: str) -> str:
    """A public key as in known_hosts without the name, or its fingerprint as `ssh-keygen -l` prints it."""
    if re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", value):
        return value
    words = value.split()
    if len(words) >= 2 and words[0] in KEY_TYPES:
        try:
            blob = base64.b64decode(words[1], validate=True)
        except (binascii.Error, ValueError):
            blob = b""
        # RFC 4253 section 6.6: the blob begins with the length and the name of its type
        if blob[4 : 4 + int.from_bytes(blob[:4], "big")] == words[0].encode():
            return f"{words[0]} {words[1]}"
    raise ValueError(f'expected a host key, "ssh-ed25519 AAAA..." or "SHA256:...", {describe(value)}')


def check_domain(value: str) -> str:
    """A domain in lower case, also `*.example.com`."""
    name = value.lower().removesuffix(".")
    if DOMAIN.match(name) and len(name) <= 253:
        return name
    if "://" in value or "/" in value or re.search(r":[0-9]+\Z", value):
        raise ValueError(f"expected only the name, without scheme, port or path, {describe(value)}")
    if not value.isascii():
        try:
            hint = f": write {value.encode('idna').decode()}"
        except UnicodeError:
            hint = ""
        raise ValueError(f"expected a domain in its ASCII form, {describe(value)}{hint}")
    raise ValueError(f"expected a domain, such as hello.example.com, {describe(value)}")


def check_module(value: str) -> str:
    """What gunicorn takes: `package.module:attribute`, or `package.module:factory()`."""
    if not MODULE.match(value):
        hint = ' (without ".py", dots instead of slashes)' if "/" in value or ".py" in value else ""
        raise ValueError(
            f'expected "package.module:attribute", such as app.main:app, {describe(value)}{hint}'
        )
    return value


def check_repository_path(value: str) -> str:
    """A path inside the app's repository, normalised; `.` is its root."""
    path = PurePosixPath(plain(value))
    odd = "\\" in value or not value.isprintable()  # marks that reorder what a person reads
    if path.is_absolute() or ".." in path.parts or value.startswith(("~", "-")) or odd:
        raise ValueError(f"expected a path inside the repository, {describe(value)}")
    return str(path)


def check_requirements(value: str) -> str:
    """A requirements file or a pyproject.toml, inside the repository."""
    path = check_repository_path(value)
    name = PurePosixPath(path).name
    if name == "uv.lock":
        raise ValueError("expected the pyproject.toml beside uv.lock; the lock is found there")
    if name != "pyproject.toml" and not name.endswith(".txt"):
        raise ValueError(f"expected a requirements .txt file or a pyproject.toml, {describe(value)}")
    return path


def check_ref(value: str) -> str:
    """A branch, tag or commit: what git-check-ref-format(1) allows, and never an option."""
    bad = re.search(r"[\s~^:?*\[\\]|\.\.|@\{|//|/\.|^[-./]|[./]\Z|\.lock(/|\Z)", plain(value))
    if bad or value == "@":
        raise ValueError(f"expected a branch, a tag or a commit, {describe(value)}")
    return value


def check_command(value: str) -> str:
    """A command line that splits into words as a shell would, without anything only a shell could do."""
    try:
        words = shlex.split(plain(value))
    except ValueError as error:
        if "is empty" in str(error) or "one line" in str(error):
            raise
        raise ValueError(f"a quote is not closed, {describe(value)}") from None
    shell = next((word for word in words if word in SHELL_WORDS or word.startswith(("$(", "`"))), None)
    if shell:
        raise ValueError(f"no shell runs it, so {shell} would be an argument; write: sh -c '...'")
    if not words:  # only a comment
        raise ValueError("is empty")
    return value


def controller_path(value: object, info: ValidationInfo) -> object:
    """A path on this machine: `~` expanded, relative ones taken from the inventory's directory."""
    if isinstance(value, str):
        path = Path(plain(value))
        try:
            value = path.expanduser() if value.startswith("~") else path
        except RuntimeError:
            raise ValueError(
                f"no user {path.parts[0][1:]} has a home on this machine, {describe(value)}"
            ) from None
    if not isinstance(value, Path):
        raise ValueError(f"expected a path, {describe(value)}")
    base = (info.context or {}).get("base")
    return base / value if base is not None else value


def nothing_is_empty(value: object) -> object:
    """A mapping whose lines are all commented out is an empty one."""
    return {} if value is None else value


Port = Annotated[int, Field(ge=1, le=65535), BeforeValidator(whole_number(1, 65535))]
Positive = Annotated[int, Field(ge=1), BeforeValidator(whole_number(1))]
ServerAddress = Annotated[str, AfterValidator(check_server)]
UserName = Annotated[str, AfterValidator(check_user)]
Jump = Annotated[str, AfterValidator(check_jump)]
HostKey = Annotated[str, AfterValidator(check_host_key)]
Domain = Annotated[str, AfterValidator(check_domain)]
Module = Annotated[str, AfterValidator(check_module)]
RepositoryPath = Annotated[str, AfterValidator(check_repository_path)]
Requirements = Annotated[str, AfterValidator(check_requirements)]
Ref = Annotated[str, AfterValidator(check_ref)]
CommandLine = Annotated[str, AfterValidator(check_command)]
ControllerPath = Annotated[Path, BeforeValidator(controller_path, json_schema_input_type=str)]
PackageName = Annotated[
    str, matching(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.]", "the name of a Debian package", "libpq5")
]
TimeZone = Annotated[
    str, matching(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", "a time zone's name", "Europe/Berlin")
]
Locale = Annotated[
    str, matching(r"(C|POSIX|[a-z]{2,3}(_[A-Z]{2})?)(\.[A-Za-z0-9-]+)?(@[a-z]+)?", "a locale", "C.UTF-8")
]
MemorySize = Annotated[str, matching(r"[1-9][0-9]*[KMGT]?", "a size in bytes or with K, M, G or T", '"512M"')]
BodySize = Annotated[
    str, matching(r"0|[1-9][0-9]*[kKmMgG]?", "a size as nginx writes it, with k, m or g", '"25m"')
]
