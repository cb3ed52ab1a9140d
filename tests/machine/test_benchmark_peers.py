"""The peers of the benchmarks do the same work: one neutral test passes on what each of them makes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from benchmarks import install
from benchmarks.end_state import check
from benchmarks.peers import PEERS
from benchmarks.peers.peer import Work
from benchmarks.work import Bench, commit, opened
from hostwright.sandbox import Sandbox

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def bench(sandbox: Sandbox) -> Iterator[Bench]:
    install.ensure(print)
    with opened(print) as bench:
        yield bench


def says_nothing_changed(peer: str, out: str) -> bool:
    """In the peer's own words; those that have none for it are not asked."""
    if peer == "hostwright":
        return bool(re.search(r" 0 changed, [1-9]\d* unchanged", out))
    if peer == "ansible":
        return bool(re.search(r"ok=[1-9]\d* +changed=0 +unreachable=0 +failed=0", out))
    assert peer == "pyinfra"
    total = re.search(r"Grand total +(\d+) +(\S+) +(\S+) +(\d+)", out)
    return total is not None and total[1] == total[4] != "0" and total[2] == total[3] == "-"


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", sorted(PEERS))
def test_the_same_work(bench: Bench, name: str) -> None:
    """From a bare server to a new commit and back."""
    work = bench.work(name)
    peer = PEERS[name]()
    peer.prepare(work)
    first = peer.provision(work)
    check(work, "0", name)

    began = started(bench, work)
    again = peer.provision(work)
    if name in ("hostwright", "ansible", "pyinfra"):
        assert not says_nothing_changed(name, first.out)
        assert says_nothing_changed(name, again.out), again.out
        assert started(bench, work) == began

    mark = commit(work)
    peer.deploy(work)
    check(work, mark, name)
    assert peer.rollback(work) is not None
    check(work, "0", name)
    bench.drop(work)


def started(bench: Bench, work: Work) -> str:
    """Which processes serve: their numbers and when they began."""
    return bench.root(work.servers[0], f"ps -o pid=,lstart= -u {work.apps[0]}")
