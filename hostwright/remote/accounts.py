"""People's accounts as files tell them: their keys, and which accounts we have made. Runs on the server."""

from __future__ import annotations

import base64
import os

from .resources.base import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Optional, Sequence

    from .system import System

# which of a server's accounts were made by us, by whose run: a file of the account's name that holds the project's
MADE = "/var/lib/hostwright/accounts"
# ends the lines of authorized_keys that are ours; others are never touched
MARK = "hostwright"
NO_SHELLS = ("nologin", "false", "sync", "halt", "shutdown")
NOLOGIN = "/usr/sbin/nologin"
TIMEOUT = 60.0


class Person:
    """An account that somebody may log in with."""

    def __init__(self, name: str, uid: int, gid: int, home: str, shell: str) -> None:
        self.name = name
        self.uid = uid
        self.gid = gid
        self.home = home
        self.shell = shell

    @property
    def keys(self) -> str:
        """The path of its authorized_keys."""
        return os.path.join(self.home, ".ssh/authorized_keys")


def people(system: System) -> list[Person]:
    """Everybody who has a shell, in the order of /etc/passwd."""
    found = []
    for line in (system.read("/etc/passwd") or b"").decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) != 7 or os.path.basename(fields[6]) in NO_SHELLS or not fields[2].isdigit():
            continue
        found.append(Person(fields[0], int(fields[2]), int(fields[3]), fields[5], fields[6]))
    return found


def lines_of(system: System, path: str) -> list[str]:
    """The lines of an authorized_keys; none where it cannot be read."""
    try:
        content = system.read(path)
    except OSError:
        return []
    return (content or b"").decode("utf-8", "replace").splitlines()


def keys_in(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(type, base64) of each key, with options or without: sshd(8), AUTHORIZED_KEYS FILE FORMAT."""
    for line in lines:
        if line.lstrip().startswith("#"):
            continue
        words = line.split()
        for at, blob in enumerate(words[1:]):
            kind = words[at]
            if blob.startswith("AAAA") and kind.startswith(("ssh-", "ecdsa-", "sk-")):
                yield kind, blob
                break


def rsa_bits(blob: str) -> Optional[int]:
    """The size of an RSA key: bits of its modulus (RFC 4253, 6.6). None: it is no RSA key."""
    try:
        raw = base64.b64decode(blob + "=" * (-len(blob) % 4))
        fields, at = [], 0
        for _ in range(3):
            size = int.from_bytes(raw[at : at + 4], "big")
            fields.append(raw[at + 4 : at + 4 + size])
            at += 4 + size
    except ValueError:
        return None
    return int.from_bytes(fields[2], "big").bit_length() if fields[0] == b"ssh-rsa" else None


def is_ours(line: str) -> bool:
    """Did we write this line?"""
    return line.rstrip().endswith(" " + MARK)


def made(system: System, name: str) -> bool:
    """Did we make this account?"""
    return system.exists(os.path.join(MADE, name))


def remember(system: System, name: str, project: str) -> None:
    """We make this account; on disk before it is there."""
    if system.stat(MADE) is None:
        system.mkdir(MADE, mode=0o700)
    system.write_atomic(os.path.join(MADE, name), project.encode(), mode=0o600)


def write_keys(system: System, person: tuple[int, int, str, str], lines: Sequence[str]) -> None:
    """Replace an authorized_keys. `person`: number, group, home and shell.

    Raises:
        Failed: the folder belongs to somebody else, or leads elsewhere.
    """
    uid, gid, home, _ = person
    folder = os.path.join(home, ".ssh")
    found = system.stat(folder)
    if found is None:
        if system.stat(home) is None:
            raise Failed(
                "there is no home %s" % home, "Make it: sudo install -d -m 750 -o %d %s" % (uid, home)
            )
        system.mkdir(folder, mode=0o700, uid=uid, gid=gid)
    elif found.kind != "directory" or found.uid not in (0, uid):
        raise Failed("%s is not a folder of its user's own" % folder, "Look at: ls -ld %s" % folder)
    content = "".join(line + "\n" for line in lines).encode()
    system.write_atomic(folder + "/authorized_keys", content, mode=0o600, uid=uid, gid=gid)


def retire(system: System, name: str) -> None:
    """What becomes of an account that left the inventory: our keys go; one that we made is locked, its home stays."""
    person = system.user(name)
    if person is None:
        return
    path = os.path.join(person[2], ".ssh/authorized_keys")
    lines = lines_of(system, path)
    ours = made(system, name)
    left = [] if ours else [line for line in lines if not is_ours(line)]
    if left != lines:
        write_keys(system, person, left)
    if ours:
        argv = ("usermod", "--lock", "--expiredate", "1", "--shell", NOLOGIN, "--", name)
        system.run(argv, timeout=TIMEOUT)
