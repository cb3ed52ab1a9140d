"""Which host keys we trust: known_hosts as sshd(8) describes it, pins, and trust on first contact.

An unknown key is recorded on first contact, as `ssh -o StrictHostKeyChecking=accept-new` does. A changed one
is refused, and, stricter than ssh, so is one of another type when none of those on record is offered. Lines
with `@revoked` are honoured. Lines with `@cert-authority` are passed over: host certificates are not
supported, so such a server is met by its plain key.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import fcntl
import fnmatch
import hashlib
import hmac
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hostwright.errors import HostKeyMismatch

SYSTEM = Path("/etc/ssh/ssh_known_hosts")
COMMENT = "first seen by hostwright on"
REINSTALLED = "Either the server was reinstalled, or someone is in between."
# what ssh(1) offers first, and what a server usually has
TYPES = (
    *("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "ssh-rsa",
)


def default_file() -> Path:
    """The user's own known_hosts."""
    return Path.home() / ".ssh" / "known_hosts"


@dataclass(frozen=True)
class HostKey:
    """A public host key: its type, e.g. `ssh-ed25519`, and its blob (RFC 4253 section 6.6)."""

    type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it: `SHA256:...`."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def __str__(self) -> str:
        return f"{self.type} {base64.b64encode(self.blob).decode()}"


@dataclass(frozen=True)
class Entry:
    """One line of a known_hosts file."""

    file: Path
    line: int
    marker: str
    patterns: tuple[str, ...]
    key: HostKey
    comment: str

    def matches(self, name: str) -> bool:
        """Whether the line is about the host `name` (`example.com` or `[example.com]:2222`)."""
        found = False
        for pattern in self.patterns:
            if pattern.startswith("|1|"):
                found |= _hashed(pattern, name)
            elif pattern.startswith("!"):
                if fnmatch.fnmatchcase(name, _glob(pattern[1:])):
                    return False
            elif fnmatch.fnmatchcase(name, _glob(pattern)):
                found = True
        return found

    @property
    def since(self) -> str:
        """When we recorded it, for people; empty when somebody else did."""
        before, mark, day = self.comment.partition(COMMENT)
        return f" (since {day.strip()})" if mark and not before else ""


def _glob(pattern: str) -> str:
    # only * and ? are special in known_hosts; brackets are part of a name with a port
    return pattern.lower().replace("[", "[[]")


def _hashed(pattern: str, name: str) -> bool:
    """HashKnownHosts: `|1|salt|HMAC-SHA1 of the name`, both base64."""
    try:
        salt, digest = (base64.b64decode(part) for part in pattern[3:].split("|"))
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)


def parse(file: Path, text: str) -> Iterator[Entry]:
    """The entries of a known_hosts file; lines that are not understood are passed over, as ssh does."""
    for number, raw in enumerate(text.splitlines(), 1):
        words = raw.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if len(words) < 3:
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except (ValueError, binascii.Error):
            continue
        patterns = tuple(words[0].split(","))
        yield Entry(file, number, marker, patterns, HostKey(words[1], blob), " ".join(words[3:]))


def read(file: Path) -> tuple[Entry, ...]:
    """The entries of a file; none when it cannot be read."""
    try:
        return tuple(parse(file, file.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return ()


def known_as(host: str, port: int) -> str:
    """The name a server has in known_hosts."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


class WrongKeyType(Exception):
    """The pin is a fingerprint, and this key has another one; the pinned key may be one of another type.

    Attributes:
        key: what the server offered.
        error: what to raise when no type is left.
    """

    def __init__(self, key: HostKey, error: HostKeyMismatch) -> None:
        super().__init__(str(error))
        self.key = key
        self.error = error


class HostKeys:
    """Decides whether a server's key is the right one.

    Args:
        host: the address that was asked for (or HostKeyAlias), not what it resolved to.
        port: where sshd listens.
        pin: from the inventory: `ssh-ed25519 AAAA...` or `SHA256:...`; nothing else is then accepted.
        say: told about a first contact.
        file: known_hosts file to read and to add to; default the user's own.
        system: the machine's known_hosts file, read only.
        label: name of the server for errors.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        pin: str | None = None,
        say: Callable[[str], None],
        file: Path | None = None,
        system: Path = SYSTEM,
        label: str | None = None,
    ) -> None:
        self.name = known_as(host, port)
        self._plain = host.lower()
        self._pin = pin
        self._say = say
        self._file = file or default_file()
        self._system = system
        self._label = label
        self._entries = self._read()

    def _read(self) -> tuple[Entry, ...]:
        entries = (*read(self._file), *read(self._system))
        return tuple(entry for entry in entries if entry.marker in ("", "@revoked"))

    def _known(self, name: str) -> list[Entry]:
        return [entry for entry in self._entries if not entry.marker and entry.matches(name)]

    @property
    def types(self) -> tuple[str, ...]:
        """Key types in the order to ask for: those on record first, so that a second key is no surprise."""
        wanted: list[str] = []
        if self._pin and not self._pin.startswith("SHA256:"):
            wanted = [self._pin.split()[0]]
        elif not self._pin:
            wanted = [entry.key.type for entry in (self._known(self.name) or self._known(self._plain))]
        first = [key_type for key_type in TYPES if key_type in wanted]
        return (*first, *(key_type for key_type in TYPES if key_type not in first))

    @property
    def new(self) -> bool:
        """Is there nothing on record of this server, and nothing pinned?"""
        return not self._pin and not self._known(self.name)

    def check(self, key: HostKey) -> None:
        """Accept the server's key, or refuse it.

        Raises:
            HostKeyMismatch: revoked, not the pinned one, or not the one on record.
            WrongKeyType: not the one whose fingerprint is pinned, so far.
        """
        for entry in self._entries:
            if entry.marker == "@revoked" and entry.key == key and entry.matches(self.name):
                raise self._refuse(
                    f"the host key {key.fingerprint} is revoked ({_short(entry.file)}:{entry.line})",
                    "Do not use this server until its owner has explained it.",
                )
        if self._pin:
            self._check_pin(key)
            return
        known = self._known(self.name)
        if known:
            if all(entry.key != key for entry in known):
                raise self._changed(known, key)
            return
        # ssh too takes the key of the same machine at port 22 for good: sshd has only moved
        moved = any(entry.key == key for entry in self._known(self._plain))
        self._record(key, moved=moved)

    def _check_pin(self, key: HostKey) -> None:
        if self._pin in (key.fingerprint, str(key)):
            return
        expected = str(self._pin)
        by_fingerprint = expected.startswith("SHA256:")
        if not by_fingerprint:
            key_type, _, encoded = expected.partition(" ")
            expected = HostKey(key_type, base64.b64decode(encoded)).fingerprint
        error = self._refuse(
            f"the host key is not the pinned one. Pinned: {expected}. Now: {key.fingerprint}.",
            f"{REINSTALLED} If it was you, change host_key in the inventory.",
        )
        raise WrongKeyType(key, error) if by_fingerprint else error

    def _changed(self, known: list[Entry], key: HostKey) -> HostKeyMismatch:
        same_type = [entry for entry in known if entry.key.type == key.type]
        entry = (same_type or known)[0]
        remove = ["ssh-keygen", "-R", self.name if self.name == self._plain else f"'{self.name}'"]
        if entry.file != default_file():
            remove[1:1] = ["-f", str(entry.file)]
        where = f"{_short(entry.file)}:{entry.line}"
        return self._refuse(
            f"the host key changed. Known: {entry.key.fingerprint}{entry.since}. Now: {key.fingerprint}.",
            f"{REINSTALLED} If it was you:\n  {' '.join(remove)}",
            f"{where} knows {self.name} by its {entry.key.type} key; this is a {key.type} key",
        )

    def _refuse(self, message: str, hint: str, *evidence: str) -> HostKeyMismatch:
        return HostKeyMismatch(message, host=self._label, evidence=evidence, hint=hint)

    def _record(self, key: HostKey, *, moved: bool) -> None:
        """Append the key, unless another thread or program was faster."""
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        line = f"{self.name} {key} {COMMENT} {today}\n"
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            why = f"it cannot be recorded in {_short(self._file)}: {error.strerror}"
            self._say(f"first contact: host key {key.fingerprint}; {why}")
            return
        with os.fdopen(handle, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = file.read()
            self._entries = (*parse(self._file, text.decode("utf-8", "replace")), *read(self._system))
            known = self._known(self.name)
            if known:
                if all(entry.key != key for entry in known):
                    raise self._changed(known, key)
                return
            file.write(("\n" if text and not text.endswith(b"\n") else "").encode() + line.encode())
        contact = "known machine at another port" if moved else "first contact"
        self._say(f"{contact}: host key {key.fingerprint} recorded in {_short(self._file)}")


def learn(host: str, port: int, keys: Sequence[str], file: Path | None = None) -> None:
    """Record a server's host keys of other types, told by itself over a connection that one on record has secured.

    As `UpdateHostKeys` of ssh does: the key that we know it by may be one that it stops to show. Nothing is recorded
    for a server that is not known, and no key is replaced.

    Args:
        host: the address that was asked for.
        port: where sshd listens.
        keys: "ssh-ed25519 AAAA...".
        file: known_hosts instead of the user's own.
    """
    path = file or default_file()
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    known = [entry for entry in read(path) if not entry.marker]
    lines = ""
    for name in dict.fromkeys((known_as(host, port), host.lower())):
        types = {entry.key.type for entry in known if entry.matches(name)}
        for key in keys:
            if types and key.split()[0] in set(TYPES) - types:
                lines += f"{name} {key} {COMMENT} {today}\n"
    if lines:
        with path.open("r+b") as found:
            fcntl.flock(found, fcntl.LOCK_EX)
            text = found.read()
            found.write(("\n" if text and not text.endswith(b"\n") else "").encode() + lines.encode())


def _short(path: Path) -> str:
    """`~/...` where it is so."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)
