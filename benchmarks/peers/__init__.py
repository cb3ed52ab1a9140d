"""Who does the work: one module a peer, and what its experts would have written in the folder beside it."""

from __future__ import annotations

from benchmarks.peers.hostwright import Hostwright
from benchmarks.peers.peer import Peer

PEERS: dict[str, type[Peer]] = {
    "hostwright": Hostwright,
}
