"""A home directory of the test's own, keys, and an SSH server on loopback."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from hostwright.inventory import Host
from hostwright.transport.hostkeys import HostKey

from .server import Server

MAKERS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}
MakeKey = Callable[..., paramiko.PKey]
HostAt = Callable[..., Host]


def write_key(
    path: Path, kind: str = "ed25519", passphrase: str | None = None, pem: bool = False
) -> paramiko.PKey:
    """A private key at `path`, and its public half beside it."""
    private = MAKERS[kind]()
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    style = serialization.PrivateFormat.TraditionalOpenSSL if pem else serialization.PrivateFormat.OpenSSH
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_bytes(private.private_bytes(serialization.Encoding.PEM, style, encryption))
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    Path(f"{path}.pub").write_bytes(public + b" test\n")
    return paramiko.PKey.from_path(path, passphrase.encode() if passphrase else None)  # type: ignore[arg-type]


def as_host_key(key: paramiko.PKey) -> HostKey:
    return HostKey(key.get_name(), key.asbytes())


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HOME, with an empty .ssh and no agent."""
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(mode=0o700, parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return folder


@pytest.fixture
def identity(home: Path) -> Path:
    """A key that the server accepts."""
    path = home / "keys" / "login"
    write_key(path)
    return path


@pytest.fixture(scope="session")
def host_key() -> paramiko.PKey:
    return paramiko.ECDSAKey.generate()


@pytest.fixture
def start_server(tmp_path: Path, host_key: paramiko.PKey) -> Iterator[Callable[..., Server]]:
    """`start_server(accepted_key_files, **options)`."""
    servers: list[Server] = []

    def start(*accepted: Path, **options: object) -> Server:
        folder = tmp_path / f"bin{len(servers)}"
        folder.mkdir()
        blobs = {paramiko.PKey.from_path(path).asbytes() for path in accepted}
        options.setdefault("host_keys", [host_key])
        servers.append(Server(accepts=blobs, bin=folder, **options))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def server(start_server: Callable[..., Server], identity: Path) -> Server:
    return start_server(identity)


@pytest.fixture
def host_at(identity: Path) -> HostAt:
    """A host of the inventory at a port of loopback."""

    def at(port: int, **settings: object) -> Host:
        values = {
            "name": "web1",
            "address": "127.0.0.1",
            "port": port,
            "user": "ubuntu",
            "identity_file": identity,
            "apps": (),
            "connect_timeout": 5,
        }
        return Host(**{key: value for key, value in {**values, **settings}.items() if value is not None})

    return at


@pytest.fixture
def free_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
