"""A worker that is killed with everything it started, again and again, wherever it is: the next run heals it."""

from __future__ import annotations

import random
import re
import shlex
from pathlib import Path

from hostwright.sandbox import Sandbox, Server

from .conftest import FreshServer
from .project import Project, sh

PURGE = "apt-get -qqy purge nginx nginx-common"
# the resource in whose middle it is killed, the most seconds it may have been at it, and what makes a run do it again
# where the last one was through before the kill came
MOMENTS = (
    ("upgrade:packages", 1.5, "rm /var/lib/hostwright/upgraded"),
    ("packages:base", 2.0, PURGE),
    ("packages:base", 3.0, PURGE),
    ("packages:base", 4.0, PURGE),
    ("virtual_environment:", 1.0, "rm -r /opt/hostwright/uv*"),
    ("virtual_environment:", 3.0, "rm -r /opt/hostwright/uv*"),
    ("user:hello", 0.01, "userdel hello"),
    ("directory:/srv/hello", 0.001, "rm -r /srv/hello"),
    ("unit:hello.service", 0.05, "systemctl disable hello.service"),
    ("file:/etc/nginx/nginx.conf", 0.01, "echo >>/etc/nginx/nginx.conf"),
    ("file:/etc/nginx/sites-enabled/", 0.02, "rm /etc/nginx/sites-enabled/hostwright*"),
)
TRIES = 5
# Runs on the server: waits for the worker to begin with a resource, and ends its whole unit, as a power cut would.
WATCH = """
import glob, sys, time
wanted, delay, old = sys.argv[1], float(sys.argv[2]), set(glob.glob("/run/hostwright/runs/*.jsonl"))
end = time.monotonic() + 60
while time.monotonic() < end:
    for path in set(glob.glob("/run/hostwright/runs/*.jsonl")) - old:
        if '"event":"resource_started","id":"' + wanted in open(path).read():
            time.sleep(delay)
            run = path.rpartition("/")[2].partition(".")[0]
            open("/sys/fs/cgroup/system.slice/hostwright-run-%s.service/cgroup.kill" % run, "w").write("1")
            open("/root/killed", "a").write(wanted + "\\n")
            sys.exit()
    time.sleep(0.0005)
"""


def kill_in(shop: Project, sandbox: Sandbox, server: Server, moment: str, delay: float) -> bool:
    """Provision; the worker is killed `delay` seconds after it began with a resource, or was through before that."""
    watch = shlex.join(("setsid", "-f", "nice", "-n", "-15", "python3", "-c", WATCH, moment, str(delay)))
    sh(sandbox, server, f"{watch} </dev/null >/dev/null 2>&1; sleep 0.1")
    said = shop.inv("provision", code=None)
    assert "Traceback" not in said.out
    if not said.code:
        sh(sandbox, server, "pkill -f 'run/hostwright/runs/[*]' || true")
        return False
    assert "ended without a last word" in said.out, str(said)
    return True


def test_a_worker_killed_again_and_again(tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer) -> None:
    server = fresh_server("heal")
    shop = Project(tmp_path, server)
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for moment, most, undo in MOMENTS:
        for _ in range(TRIES):
            if kill_in(shop, sandbox, server, moment, chance.uniform(0, most)):
                break
            sh(sandbox, server, f"({undo}) >/dev/null 2>&1")
    killed = sh(sandbox, server, "cat /root/killed").splitlines()
    print(f"killed in {killed}")
    # a directory is made in a tenth of a millisecond: it may be missed each time
    assert {moment for moment, *_ in MOMENTS} - set(killed) <= {"directory:/srv/hello"}
    healed = shop.inv("provision")
    assert re.search(r"(0 failed|0 changed)", healed.out), healed
    assert re.search(r"0 changed", shop.inv("provision").out)
    sh(sandbox, server, 'test -z "$(dpkg --audit)"; nginx -t -q; systemctl is-active -q nginx')
    litter = "find /etc /srv /opt /var/lib/hostwright -xdev ( -name '*.new' -o -name '*.tmp' -o -name '.*.hostwright' )"
    assert sh(sandbox, server, litter.replace("(", "\\(").replace(")", "\\)")) == ""
    shop.inv("deploy")
    assert shop.curl("/health")[0] == 200
