"""Wheels for a server that has no package index: downloaded here, pushed over the same SSH. 17 MB, so only then."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostwright.errors import HostwrightError
from hostwright.inventory import Host, Inventory
from hostwright.inventory.tls import tls_of
from hostwright.recipes import certbot, uv
from hostwright.remote import events, wire
from hostwright.report import Output, Report
from hostwright.run.fleet import Fleet
from hostwright.run.login import Logins
from hostwright.run.request import request
from hostwright.transport.base import Transport

# what the recipes for uv and certbot fail with
REASON = "no_package_index"
CHUNK = 1 << 20
TIMEOUT = 300.0
# what the glibc of a server can be older than; pip takes each by its name only
PLATFORMS = ("manylinux_2_17", "manylinux2014", "manylinux_2_28", "manylinux_2_34", "manylinux_2_35")


@dataclass(frozen=True)
class Kind:
    """Servers that get the same wheels.

    Attributes:
        machine: architecture, as `uname -m` prints it.
        python: version of its Python, `3.11`.
        certbot: whether it gets certificates from a CA.
    """

    machine: str
    python: str
    certbot: bool

    @property
    def requirements(self) -> dict[str, str]:
        """What is to be downloaded, by what people call it."""
        wanted = {"uv": uv.requirements()}
        if self.certbot:
            wanted["certbot"] = for_python(certbot.requirements(), self.python)
        return wanted


def kind_of(inventory: Inventory, host: Host, facts: Mapping[str, Any]) -> Kind:
    """What a host needs.

    Args:
        facts: what its agent said of it.
    """
    asks = any(tls_of(inventory.apps[name], host).is_acme for name in host.apps)
    major, minor = map(int, str(facts["python"]).split(".")[:2])
    # an older Python is an error of its own, see resources/virtual_environment.py
    return Kind(str(facts["machine"]), f"{major}.{minor}", asks and (major, minor) >= (3, certbot.OLDEST))


def for_python(requirements: str, python: str) -> str:
    """The lines that count for a Python; pip itself would go by the one it runs on."""
    from packaging.requirements import Requirement

    lines = []
    for line in requirements.splitlines():
        text, hashes, rest = line.partition(" --hash")
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"python_version": python}):
            lines.append(f"{wanted.name}{wanted.specifier}{hashes}{rest}\n")
    return "".join(lines)


def download(kind: Kind, folder: Path) -> list[Path]:
    """The pinned wheels for a kind of server, by hash.

    Args:
        kind: the server.
        folder: where they go.

    Raises:
        HostwrightError: this machine cannot get them either.
    """
    abi = f"cp{kind.python.replace('.', '')}"
    for name, requirements in kind.requirements.items():
        wanted = folder / f"{name}.txt"
        wanted.write_text(requirements, encoding="utf-8")
        argv = (
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:",
            *(f"--platform={platform}_{kind.machine}" for platform in PLATFORMS), "--implementation=cp",
            f"--python-version={kind.python}", f"--abi={abi}", "--abi=abi3", "--abi=none", "--dest", str(folder),
            "-r", str(wanted),
        )  # fmt: skip
        done = subprocess.run(
            argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False
        )
        if done.returncode:
            raise HostwrightError(
                f"neither the server nor this machine can get {name} for Python {kind.python} on {kind.machine} from "
                "a package index",
                evidence=done.stderr.strip().splitlines()[-5:],
            )
    return sorted(folder.glob("*.whl"))


def push(
    project: str, hosts: Sequence[Host], kinds: Mapping[str, Kind], logins: Logins, output: Output
) -> Report:
    """Send each host the wheels of its kind.

    Args:
        kinds: host name -> its kind.
    """
    with tempfile.TemporaryDirectory() as name:
        wheels: dict[Kind, list[Path]] = {}
        for number, kind in enumerate(sorted({kinds[host.name] for host in hosts}, key=repr)):
            folder = Path(name) / str(number)
            folder.mkdir()
            wheels[kind] = download(kind, folder)

        def request_for(host: Host, transport: Transport) -> dict[str, Any]:
            files = [
                {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
                for path in wheels[kinds[host.name]]
            ]
            return request("store", project, "push wheels", files=files)

        def answer(host: Host, event: events.Event) -> Iterable[bytes]:
            assert isinstance(event, events.SourceNeeded)
            path = next(path for path in wheels[kinds[host.name]] if path.name == event.commit)
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield wire.data(chunk)
            yield wire.data(b"")

        what = " and ".join(sorted({name for host in hosts for name in kinds[host.name].requirements}))
        output.notice(f"no package index there: sending {what} from here")
        return Fleet(hosts, logins.connect, output).run(request_for, answer=answer)
