"""Peers, each with a site of its own that runs: where cases begin that measure what comes after."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from benchmarks.peers import PEERS
from benchmarks.peers.peer import Failed, Peer, Work
from benchmarks.work import Bench

OURS = "hostwright"


def sites(
    bench: Bench,
    names: Iterable[str],
    apps: tuple[str, ...],
    say: Callable[[str], None],
    *,
    twice: bool = False,
) -> tuple[dict[str, tuple[Peer, Work]], list[str]]:
    """Bring a server for each peer to its end state.

    Args:
        twice: a first run may leave something that only the second finds.

    Returns:
        peer -> it and its work; a note on each that did not get there.

    Raises:
        Failed: Hostwright did not.
    """
    found: dict[str, tuple[Peer, Work]] = {}
    notes = []
    for name in names:
        peer, work = PEERS[name](), bench.work(name, apps=apps)
        try:
            peer.prepare(work)
            say(f"{name}: a site in {peer.provision(work).seconds:.0f} s")
            if twice:
                peer.provision(work)
            found[name] = (peer, work)
        except Failed as error:
            if name == OURS:
                raise
            notes.append(f"{name} is left out: it did not reach its end state")
            say(f"{name}: {error}")
    return found, notes
