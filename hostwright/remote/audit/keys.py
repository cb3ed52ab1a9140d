"""Who may log in with which key: authorized_keys of every account, sshd(8) "AUTHORIZED_KEYS FILE FORMAT"."""

from __future__ import annotations

from ..digest import sha256
from . import accounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Sequence

    from ..system import System

# a file with more lines is none of people's
MOST = 500
# name of the type -> bits, where the type says it (RFC 5656, RFC 8709, PROTOCOL.u2f)
SIZES = {
    "ssh-ed25519": 256,
    "sk-ssh-ed25519@openssh.com": 256,
    "ecdsa-sha2-nistp256": 256,
    "sk-ecdsa-sha2-nistp256@openssh.com": 256,
    "ecdsa-sha2-nistp384": 384,
    "ecdsa-sha2-nistp521": 521,
    "ssh-ed448": 448,
}
MEASURED = ("ssh-rsa", "ssh-dss")


def authorized(system: System, patterns: Sequence[str]) -> dict[str, Any]:
    """found: for each account that has any: user, login (its shell lets it in), path, mode, owner (uid), writable (by
    others than it and root), keys, unreadable (lines that are none).

    Args:
        patterns: AuthorizedKeysFile of sshd_config(5).

    A key is type, bits (0: unknown), fingerprint, comment, options.
    """
    found = []
    for user in accounts.users(system):
        for path in _paths(patterns, user):
            about = _file(system, user, path)
            if about:
                found.append(about)
    return {"found": found}


def _paths(patterns: Sequence[str], user: accounts.User) -> list[str]:
    paths = []
    for pattern in patterns:
        path = pattern.replace("%h", user.home).replace("%u", user.name).replace("%U", str(user.uid))
        path = path.replace("%%", "%")
        paths.append(path if path.startswith("/") else "%s/%s" % (user.home.rstrip("/"), path))
    return paths


def _file(system: System, user: accounts.User, path: str) -> Optional[dict[str, Any]]:
    content = system.read(path)
    about = system.stat(path)
    if content is None or about is None:
        return None
    keys, unreadable = [], 0
    for line in content.decode("utf-8", "replace").splitlines()[:MOST]:
        if line.strip() and not line.lstrip().startswith("#"):
            key = public_key(line)
            if key:
                keys.append(key)
            else:
                unreadable += 1
    return {
        "user": user.name,
        "login": user.login,
        "path": path,
        "mode": about.mode,
        "owner": about.uid,
        "writable": about.uid not in (0, user.uid) or bool(about.mode & 0o022),
        "keys": keys,
        "unreadable": unreadable,
    }


def public_key(line: str) -> Optional[dict[str, Any]]:
    """One line: options, type, base64, comment; None when it is no key."""
    import base64

    options, rest = "", line.strip()
    if rest.split(" ", 1)[0] not in (*SIZES, *MEASURED):
        options, rest = _options(rest)
    words = rest.split(None, 2)
    if len(words) < 2 or words[0] not in (*SIZES, *MEASURED):
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except ValueError:
        return None
    parts = _strings(blob)
    if not parts or parts[0].decode("ascii", "replace") != words[0]:
        return None
    raw = bytes.fromhex(sha256(blob))
    return {
        "type": words[0],
        "bits": SIZES.get(words[0]) or _bits(words[0], parts),
        "fingerprint": "SHA256:" + base64.b64encode(raw).decode("ascii").rstrip("="),
        "comment": words[2] if len(words) > 2 else "",
        "options": options,
    }


def _options(line: str) -> tuple[str, str]:
    """(options, the rest): options end at the first space outside double quotes."""
    quoted = False
    for index, char in enumerate(line):
        if char == '"' and line[index - 1 : index] != "\\":
            quoted = not quoted
        elif char in " \t" and not quoted:
            return line[:index], line[index:].strip()
    return line, ""


def _strings(blob: bytes) -> list[bytes]:
    """The strings of RFC 4251, 5 that a key consists of; nothing when it is damaged."""
    found, at = [], 0
    while at < len(blob):
        size = int.from_bytes(blob[at : at + 4], "big")
        if at + 4 + size > len(blob):
            return []
        found.append(blob[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def _bits(kind: str, parts: list[bytes]) -> int:
    """Of the modulus (RFC 4253, 6.6): of RSA it is the third string, of DSA the second."""
    at = 2 if kind == "ssh-rsa" else 1
    return int.from_bytes(parts[at], "big").bit_length() if len(parts) > at else 0
