"""How long a release needs to boot, without anything of ours but its units."""

from __future__ import annotations

import statistics

from hostwright.sandbox import Sandbox, Server

from .project import sh

# Runs on the server: an instance that is off is started; how long until all of its workers are up and it answers.
BOOT = """
import socket, subprocess, sys, time
app, release = sys.argv[1:]
units = ["%s@%s.%s" % (app, release, kind) for kind in ("socket", "service")]
subprocess.run(["systemctl", "stop", *units], check=True)
began = time.monotonic()
subprocess.run(["systemctl", "start", units[0]], check=True)
subprocess.run(["systemctl", "start", "--no-block", units[1]], check=True)
while True:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect("/run/%s/%s.sock" % (app, release))
        link.sendall(b"GET /health HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
        good = link.recv(99).startswith(b"HTTP/1.1 200")
    show = ["systemctl", "show", "--property=StatusText", "--value", units[1]]
    words = subprocess.run(show, check=True, capture_output=True, text=True).stdout.split()
    if good and words and words[0] == words[2]:
        break
print(time.monotonic() - began)
"""


def boot(sandbox: Sandbox, server: Server, app: str) -> float:
    """Seconds until all workers of the live release are up and it answers: three times, the middle one."""
    release = sh(sandbox, server, f"basename $(readlink /srv/{app}/current)")
    times = []
    for _ in range(3):
        done = sandbox.exec(server.name, ("python3", "-c", BOOT, app, release), timeout=60)
        assert done.returncode == 0, done.stderr
        times.append(float(done.stdout))
    return statistics.median(times)
