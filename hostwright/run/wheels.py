"""uv for a server that has no package index: downloaded here, pushed over the same SSH. 17 MB, so only then."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hostwright.errors import HostwrightError
from hostwright.inventory import Host
from hostwright.recipes.uv import requirements
from hostwright.remote import events, wire
from hostwright.report import Output, Report
from hostwright.run.fleet import Fleet
from hostwright.run.login import Logins
from hostwright.run.request import request
from hostwright.transport.base import Transport

# what the recipe for uv fails with
REASON = "no_package_index"
CHUNK = 1 << 20
TIMEOUT = 300.0


def download(machine: str, folder: Path) -> Path:
    """The pinned uv wheel for an architecture, by hash.

    Args:
        machine: as `uname -m` prints it.
        folder: where it goes.

    Raises:
        HostwrightError: this machine cannot get it either.
    """
    wanted = folder / "requirements.txt"
    wanted.write_text(requirements(), encoding="utf-8")
    argv = (
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:",
        f"--platform=manylinux_2_17_{machine}", "--dest", str(folder), "-r", str(wanted),
    )  # fmt: skip
    done = subprocess.run(
        argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise HostwrightError(
            f"neither the server nor this machine can get uv for {machine} from a package index",
            evidence=done.stderr.strip().splitlines()[-5:],
        )
    return wheels[0]


def push(
    project: str, hosts: Sequence[Host], machines: dict[str, str], logins: Logins, output: Output
) -> Report:
    """Send each host the wheel of its architecture.

    Args:
        machines: host name -> architecture.
    """
    with tempfile.TemporaryDirectory() as name:
        wheels: dict[str, Path] = {}
        for machine in sorted({machines[host.name] for host in hosts}):
            folder = Path(name) / machine
            folder.mkdir()
            wheels[machine] = download(machine, folder)

        def wheel(host: Host) -> Path:
            return wheels[machines[host.name]]

        def request_for(host: Host, transport: Transport) -> dict[str, Any]:
            digest = hashlib.sha256(wheel(host).read_bytes()).hexdigest()
            return request("store", project, "push uv", name=wheel(host).name, sha256=digest)

        def answer(host: Host, event: events.Event) -> Iterable[bytes]:
            with wheel(host).open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield wire.data(chunk)
            yield wire.data(b"")

        output.notice("no package index there: sending uv from here")
        return Fleet(hosts, logins.connect, output).run(request_for, answer=answer)
