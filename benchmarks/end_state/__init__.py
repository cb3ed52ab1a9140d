"""What every peer's servers are to be like in the end, asked of the servers and from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.peer import Failed, Work
from benchmarks.peers.site import PACKAGES, ssh_config
from hostwright.sandbox import Server

SITE = "BENCH_SITE"  # the variable that names a file with the work's facts


# what a peer does otherwise on purpose, and why
LEFT_OUT = {
    "fujin": ("test_secrets_are_roots_alone",),  # they are the deploy user's, 0640
}


def check(work: Work, mark: str = "", peer: str = "") -> str:
    """Run the neutral tests against all servers of a work.

    Args:
        work: whose servers are provisioned.
        mark: what `/version` must tell; empty: whatever it tells.
        peer: its name, for those with something in `LEFT_OUT`.

    Returns:
        pytest's last line.

    Raises:
        Failed: with pytest's output.
    """
    return "; ".join(_check(work, server, mark, LEFT_OUT.get(peer, ())) for server in work.servers)


def _check(work: Work, server: Server, mark: str, without: Sequence[str]) -> str:
    config = work.home / "end-state.ssh"
    sockets = tempfile.TemporaryDirectory(
        prefix="es"
    )  # a connection for all tests; their names must be short
    config.write_text(ssh_config(work) + f"Host *\n  ControlPath {sockets.name}/%C\n")
    facts = {
        "address": server.address,
        "apps": {app: {"domain": work.domain(app), "greeting": work.greeting(app)} for app in work.apps},
        "certificate": str(work.certificate),
        "identities": {"root": str(server.identity_file), work.admin: str(work.home.parent / "admin")},
        "known_hosts": str(server.known_hosts),
        "admin": work.admin,
        "packages": PACKAGES,
        "mark": mark,
    }
    site = work.home / "end-state.json"
    site.write_text(json.dumps(facts))
    argv = (
        *(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider"),
        *(f"--rootdir={Path(__file__).parent}", f"--hosts=ssh://{server.name}", "--sudo"),
        *(f"--deselect=test_end_state.py::{test}" for test in without),
        *(f"--ssh-config={config}", str(Path(__file__).with_name("test_end_state.py"))),
    )
    env = work.environ(**{SITE: str(site)})
    with sockets:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise Failed(f"{server.name} is not as it should be\n{done.stdout[-6000:]}{done.stderr[-2000:]}")
    return done.stdout.strip().splitlines()[-1]
