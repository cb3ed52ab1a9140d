"""Who does the work: one module a peer, and what its experts would have written in the folder beside it."""

from __future__ import annotations

from benchmarks.peers.ansible import Ansible
from benchmarks.peers.bash import Bash
from benchmarks.peers.fabric import Fabric
from benchmarks.peers.fujin import Fujin
from benchmarks.peers.hostwright import Hostwright
from benchmarks.peers.peer import Peer
from benchmarks.peers.pyinfra import Pyinfra

PEERS: dict[str, type[Peer]] = {
    "hostwright": Hostwright,
    "ansible": Ansible,
    "pyinfra": Pyinfra,
    "fabric": Fabric,
    "bash": Bash,
    "fujin": Fujin,
}
