"""Private key files: what is in them, and what is wrong with them, before any key is used."""

from __future__ import annotations

import base64
import binascii
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"openssh-key-v1\0"  # PROTOCOL.key in the source of OpenSSH
LIMIT = 64 * 1024


class KeyFileProblem(Exception):
    """A key file that cannot be used: one line that names it, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class KeyFile:
    """What can be told of a key file without its passphrase.

    Attributes:
        path: the file.
        public: the public key's blob, when it can be told.
        encrypted: it has a passphrase.
        private: False when it holds a public key only; an agent may have the other half.
        note: the `.pub` file beside it belongs to another key; empty when it does not.
    """

    path: Path
    public: bytes | None
    encrypted: bool
    private: bool = True
    note: str = ""


def inspect(path: Path) -> KeyFile:
    """Look at a key file.

    Raises:
        KeyFileProblem: missing, unreadable, readable by others, or not an OpenSSH key.
    """
    text = _read(path)
    if public := _public_line(text):
        return KeyFile(path, public, encrypted=False, private=False)
    if text.startswith(b"PuTTY-User-Key-File"):
        raise KeyFileProblem(
            f"{path} is a PuTTY key", f"Convert it: puttygen {path} -O private-openssh -o {path}.openssh"
        )
    if not text.lstrip().startswith(b"-----BEGIN ") or b"PRIVATE KEY-----" not in text:
        raise KeyFileProblem(f"{path} is not a private key")
    _check_mode(path)
    beside = _beside(path)
    if b"BEGIN OPENSSH PRIVATE KEY" not in text:
        encrypted = b"ENCRYPTED" in text  # RFC 1421 header or PKCS#8
        return KeyFile(path, beside if encrypted else None, encrypted)
    public, encrypted = _openssh_header(path, text)
    note = f"{path}.pub belongs to another key" if beside not in (None, public) else ""
    return KeyFile(path, public, encrypted, note=note)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LIMIT)
    except FileNotFoundError:
        raise KeyFileProblem(f"the identity file {path} does not exist") from None
    except OSError as error:
        raise KeyFileProblem(f"the identity file {path} cannot be read: {error.strerror}") from error


def _check_mode(path: Path) -> None:
    """As ssh does: our own key must not be readable by others."""
    status = path.stat()
    if status.st_uid == os.getuid() and stat.S_IMODE(status.st_mode) & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise KeyFileProblem(
            f"the private key {path} can be read by others (mode {mode:04o})", f"chmod 600 {path}"
        )


def _public_line(text: bytes) -> bytes | None:
    """The blob in a line such as `ssh-ed25519 AAAA... comment`."""
    words = text.split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith((b"ssh-", b"ecdsa-", b"sk-")):
        return None
    try:
        return base64.b64decode(words[1], validate=True)
    except (ValueError, binascii.Error):
        return None


def _beside(path: Path) -> bytes | None:
    try:
        return _public_line(Path(f"{path}.pub").read_bytes()[:LIMIT])
    except OSError:
        return None


def _openssh_header(path: Path, text: bytes) -> tuple[bytes, bool]:
    """Public blob and whether the rest is encrypted: magic, cipher, kdf, kdf options, 1, public key, ..."""
    lines = text.strip().splitlines()
    try:
        data = base64.b64decode(b"".join(lines[1:-1]))
        if not data.startswith(MAGIC):
            raise ValueError
        rest = data[len(MAGIC) :]
        cipher, rest = _string(rest)
        _, rest = _string(rest)
        _, rest = _string(rest)
        public, _ = _string(rest[4:])
    except (ValueError, binascii.Error, struct.error):
        raise KeyFileProblem(f"{path} is damaged: not a whole OpenSSH private key") from None
    return public, cipher != b"none"


def _string(data: bytes) -> tuple[bytes, bytes]:
    (size,) = struct.unpack(">I", data[:4])
    if len(data) < 4 + size:
        raise ValueError
    return data[4 : 4 + size], data[4 + size :]
