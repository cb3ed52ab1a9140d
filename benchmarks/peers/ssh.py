"""The limit: an interpreter is started as root over ssh and does nothing. Nobody's run can be quicker that does so."""

from __future__ import annotations

import shlex

from benchmarks.peers.peer import Done, Work, measured

LIMIT = "ssh"
NOTHING = ("sudo", "-n", "python3", "-c", "pass")


def nothing(work: Work) -> Done:
    """Do nothing on all servers, at the same time."""
    first, *others = (server.ssh_argv(*NOTHING) for server in work.servers)
    if not others:
        return measured(first, work)
    script = " & ".join(shlex.join(argv) for argv in (first, *others))
    return measured(("sh", "-c", f"{script} & wait"), work)
