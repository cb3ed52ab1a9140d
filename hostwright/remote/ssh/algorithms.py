"""Which algorithms are good: the lists of ssh-audit's policies "Hardened Debian 12 / 13", "Hardened Ubuntu Server ...".

They differ by what OpenSSH could do at their time, so they are chosen by what this one can.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from .known import Known

# safe against a quantum computer of tomorrow that opens what is recorded today
POST_QUANTUM = ("mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com")
CURVES = ("curve25519-sha256", "curve25519-sha256@libssh.org")
GROUPS = (
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group-exchange-sha256",
)
# the order since OpenSSH 9.6
LATER_GROUPS = (
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
)
CIPHERS = (
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-gcm@openssh.com",
    "aes128-ctr",
)
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "umac-128-etm@openssh.com")
LATER_MACS = ("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "umac-128-etm@openssh.com")
HOST_KEYS = (
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256",
    "rsa-sha2-256-cert-v01@openssh.com",
)
# of people: what they have is theirs to choose, as long as it is not broken
PUBLIC_KEYS = (
    *HOST_KEYS,
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


def choose(known: Known, *, old_clients: bool = False, pinned: Sequence[str] = ()) -> dict[str, list[str]]:
    """Key exchanges, ciphers, MACs and signatures for a server.

    Args:
        known: what it can.
        old_clients: also what is not post-quantum, where it can mlkem768.
        pinned: signatures of a host key that must stay, because clients know no other.
    """
    later = known.version >= (9, 6)
    exchanges = [*POST_QUANTUM, *CURVES, *(LATER_GROUPS if later else GROUPS)]
    if POST_QUANTUM[0] in known.of(POST_QUANTUM, "kex") and not old_clients:
        exchanges = list(POST_QUANTUM)
    return {
        "kex": known.of(exchanges, "kex"),
        "ciphers": known.of(CIPHERS, "cipher"),
        "macs": known.of(LATER_MACS if later else MACS, "mac"),
        "host_key_algorithms": known.of((*HOST_KEYS, *pinned), "HostKeyAlgorithms"),
        "public_key_algorithms": known.of(PUBLIC_KEYS, "HostKeyAlgorithms"),
    }
