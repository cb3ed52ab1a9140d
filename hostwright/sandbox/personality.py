"""What makes one server different from the next: its name, keys, address and machine id."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from pathlib import Path

from ..errors import SandboxError
from .base import write
from .registry import Checkout
from .surroundings import name_servers

KEY_TYPES = ("ed25519", "ecdsa", "rsa")
# Sorts before systemd's own 80-container-host0.network, which would win otherwise.
NETWORK_FILE = "/etc/systemd/network/10-host0.network"


def personalise(
    root: Path, name: str, octet: int, checkout: Checkout, public_key: str, interface: str = "host0"
) -> None:
    """Writes it all into the file system at `root`.

    Args:
        root: a file system.
        name: host name.
        octet: last octet of its address.
        checkout: whose it is.
        public_key: opens both users.
        interface: name of its network interface inside.

    Raises:
        SandboxError: ssh-keygen failed.
    """
    write(root, "/etc/machine-id", secrets.token_hex(16) + "\n", mode=0o444)
    write(root, "/etc/hostname", name + "\n")
    write(root, "/etc/hosts", hosts(name))
    write(root, "/etc/resolv.conf", name_servers())
    write(root, NETWORK_FILE, network_file(checkout.address(octet), checkout, interface))
    for home, owner in (("root", 0), ("home/ubuntu", 1000)):
        folder = root / home / ".ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        write(root, f"/{home}/.ssh/authorized_keys", public_key, mode=0o600)
        for path in (folder, folder / "authorized_keys"):
            shutil.chown(path, owner, owner)
    make_host_keys(root / "etc/ssh", name)


def hosts(name: str) -> str:
    """hosts(5) as cloud images have it."""
    return f"127.0.0.1 localhost\n127.0.1.1 {name}\n\n::1 localhost ip6-localhost ip6-loopback\n"


def network_file(address: str, checkout: Checkout, interface: str = "host0") -> str:
    """systemd.network(5): a static address, and no waiting for IPv6 that nobody offers."""
    return (
        f"[Match]\nName={interface}\n\n"
        f"[Network]\nAddress={address}/{checkout.servers.prefixlen}\nGateway={checkout.gateway}\n"
        "DHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n"
    )


def make_host_keys(folder: Path, name: str) -> None:
    """New host keys of all three usual types, made at the same time: RSA takes half a second."""
    making = []
    for kind in KEY_TYPES:
        file = folder / f"ssh_host_{kind}_key"
        file.unlink(missing_ok=True)
        argv = ("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"root@{name}", "-f", str(file))
        making.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))
    codes = [process.wait(60) for process in making]
    if any(codes):
        raise SandboxError("ssh-keygen could not make host keys", host=name)


def known_hosts(folder: Path, address: str) -> str:
    """known_hosts lines (sshd(8)) for the host keys in `folder`."""
    keys = (file.read_text().split()[:2] for file in sorted(folder.glob("ssh_host_*_key.pub")))
    return "".join(f"{address} {kind} {key}\n" for kind, key in keys)
