"""What the kernel filters: asked over netlink, because starting nft costs more than the rest of a run. Part of System.

netlink(7), linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from typing import Iterator, Optional

    # name of a chain -> (policy, number of its rules); None: a chain that only others jump to
    Chains = dict[str, tuple[Optional[str], int]]

NETLINK_NETFILTER, NFTABLES = 12, 10
INET = 1  # NFPROTO_INET
GETCHAIN, GETRULE = 4, 7
REQUEST_DUMP = 0x301
ERROR, DONE = 2, 3
TABLE, CHAIN_NAME, CHAIN_POLICY, RULE_CHAIN = 1, 3, 5, 2
POLICIES = {0: "drop", 1: "accept"}
DEADLINE = 5.0


class Packets:
    """Rules of nftables."""

    def nft_chains(self, table: str) -> Optional[Chains]:
        """The chains of a table of the family inet; None when there is none, or no nftables in this kernel.

        Raises:
            OSError: not root, or no answer in time.
        """
        # _socket: `socket` costs more to import than all the answers
        import _socket

        name = table.encode()
        try:
            link = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, NETLINK_NETFILTER)
        except OSError:
            return None
        try:
            link.settimeout(DEADLINE)
            chains: Chains = {}
            for found in _dump(link, GETCHAIN):
                if _text(found.get(TABLE)) == name:
                    policy = found.get(CHAIN_POLICY)
                    words = POLICIES.get(int.from_bytes(policy, "big")) if policy else None
                    chains[_text(found.get(CHAIN_NAME)).decode()] = (words, 0)
            if not chains:
                return None
            for found in _dump(link, GETRULE):
                if _text(found.get(TABLE)) == name:
                    chain = _text(found.get(RULE_CHAIN)).decode()
                    policy_of, count = chains.get(chain, (None, 0))
                    chains[chain] = (policy_of, count + 1)
            return chains
        finally:
            link.close()


def _text(value: Optional[bytes]) -> bytes:
    return (value or b"").rstrip(b"\0")


def _dump(link: socket, what: int) -> Iterator[dict[int, bytes]]:
    """The attributes of each object of the family inet."""
    head = struct.pack("=IHHII", 20, NFTABLES << 8 | what, REQUEST_DUMP, what, 0)
    link.send(head + struct.pack("=BBH", INET, 0, 0))
    while True:
        data = link.recv(1 << 18)
        offset = 0
        while offset < len(data):
            size, kind = struct.unpack_from("=IH", data, offset)
            if kind == DONE:
                return
            if kind == ERROR:
                number = -struct.unpack_from("=i", data, offset + 16)[0]
                if number in (1, 13):  # EPERM, EACCES
                    raise PermissionError(number, os.strerror(number))
                return  # this kernel knows no such thing
            yield _attributes(data[offset + 20 : offset + size])
            offset += (size + 3) & ~3


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    offset = 0
    while offset + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, offset)
        found[kind & 0x3FFF] = data[offset + 4 : offset + size]
        offset += (size + 3) & ~3 or 4
    return found
