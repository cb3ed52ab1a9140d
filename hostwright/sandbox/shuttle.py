"""Carries packets between two tun devices, each late by half a round trip.

Run as a file under `python -I -S`; standard library only. One process for itself, so that a busy caller
does not add delay of its own.

    shuttle.py DESCRIPTOR DESCRIPTOR      (open tun devices, non-blocking)

Each line on standard input is a round-trip time in milliseconds, answered by the same line once it holds.
It ends when standard input does.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque

MTU = 65536
BURST = 64  # packets read in one go, so that neither direction starves the other


class Wire:
    """One direction: packets read from `source` are written to `target` when they are due."""

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self.target = target
        self.waiting: deque[tuple[float, bytes]] = deque()

    def receive(self, delay: float) -> None:
        """Reads what is there; order is kept also when the delay has shrunk."""
        for _ in range(BURST):
            try:
                packet = os.read(self.source, MTU)
            except BlockingIOError:
                return
            due = time.monotonic() + delay
            if self.waiting:
                due = max(due, self.waiting[-1][0])
            self.waiting.append((due, packet))

    def deliver(self) -> None:
        """Writes what is due. A full device drops a packet, as a full router does."""
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            _, packet = self.waiting.popleft()
            try:
                os.write(self.target, packet)
            except OSError:
                continue


def main(first: int, second: int) -> None:
    """Until standard input ends."""
    wires = {first: Wire(first, second), second: Wire(second, first)}
    delay = 0.0
    while True:
        due = [wire.waiting[0][0] for wire in wires.values() if wire.waiting]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        ready, _, _ = select.select([0, *wires], [], [], timeout)
        for source, wire in wires.items():
            if source in ready:
                wire.receive(delay)
            wire.deliver()
        if 0 in ready:
            line = os.read(0, 64).decode()
            if not line:
                return
            delay = float(line) / 2000
            os.write(1, line.encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
