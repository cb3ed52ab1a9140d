"""Where the agent keeps what it knows. Root-owned, 0700: anyone's flock(2) on a readable file would block root."""

from __future__ import annotations

import os


class Paths:
    """`state` survives a reboot (/var/lib/hostwright), `runtime` does not and cannot be full (/run/hostwright)."""

    def __init__(self, state: str, runtime: str) -> None:
        self.state = state
        self.runtime = runtime
        self.lock = os.path.join(runtime, "lock")
        self.holder = os.path.join(runtime, "holder.json")
        self.live = os.path.join(runtime, "runs")
        self.kept = os.path.join(state, "runs")

    def make(self) -> None:
        """Make the folders a run needs."""
        for path in (self.runtime, self.live):
            os.makedirs(path, mode=0o700, exist_ok=True)
            os.chmod(path, 0o700)
        try:
            os.makedirs(self.kept, mode=0o700, exist_ok=True)
            os.chmod(self.state, 0o700)
        except OSError:
            pass  # a full disk must not keep a run from starting: it may be what makes room

    def request(self, run: str) -> str:
        """What the worker is to do; holds secrets, so it lies in memory only and is removed when read."""
        return os.path.join(self.live, run + ".request")

    def journal(self, run: str) -> str:
        """The live journal."""
        return os.path.join(self.live, run + ".jsonl")

    def kept_journal(self, run: str) -> str:
        """The journal that survives a reboot."""
        return os.path.join(self.kept, run + ".jsonl")

    def cancel(self, run: str) -> str:
        """Exists when the user asked the run to stop."""
        return os.path.join(self.live, run + ".cancel")

    def answer(self, run: str, question: str) -> str:
        """What the controller answers to a question of the run, by the question's id."""
        return os.path.join(self.live, "%s.answer.%s" % (run, question))

    def alive(self, run: str) -> str:
        """Locked by the worker from its first to its last moment."""
        return os.path.join(self.live, run + ".alive")

    def viewer(self, run: str) -> str:
        """Locked (shared) by whoever shows the run to a user."""
        return os.path.join(self.live, run + ".viewer")
