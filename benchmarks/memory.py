"""The memory of a command and of all that it starts, in samples."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

EVERY = 0.1  # seconds


@dataclass
class Most:
    """The largest sample, MiB."""

    most: float = 0.0


@contextmanager
def watched(pid: int) -> Iterator[Most]:
    """Samples while the block runs: the proportional sizes of a process and its descendants, added up.

    Pages that several of them share count once, so forks are not charged for what they inherited.
    """
    with sampled(lambda: sum(map(proportional_mib, family(pid)))) as found:
        yield found


@contextmanager
def sampled(measure: Callable[[], float]) -> Iterator[Most]:
    """The largest of what `measure` says, while the block runs."""
    found = Most()
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(EVERY):
            found.most = max(found.most, measure())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def family(pid: int) -> Iterator[int]:
    """A process and its descendants; those that are gone meanwhile are left out."""
    yield pid
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [child for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield from family(int(child))


def proportional_mib(pid: int) -> float:
    """Its PSS; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


@contextmanager
def largest(word: str) -> Iterator[Most]:
    """The largest size, while the block runs, of a process that has a word among its arguments.

    Those of containers are processes of this machine too. The kernel keeps each one's peak (proc(5), VmHWM), so
    samples may be far apart.
    """
    wanted = f"\0{word}\0".encode()

    def measure() -> float:
        most = 0.0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (folder / "cmdline").read_bytes():
                    most = max(most, peak_mib(folder))
            except OSError:
                continue
        return most

    with sampled(measure) as found:
        yield found


def peak_mib(folder: Path) -> float:
    """The largest resident size that a process has had; `folder` is its own in /proc."""
    for line in (folder / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
