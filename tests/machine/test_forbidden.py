"""Apps that run into their sandbox, on real servers: each deploy says which setting it was, and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox

from .conftest import SUITES, FreshServer
from .project import sh
from .tiny import CODE, Tiny

pytestmark = pytest.mark.long

SHELL = "import subprocess; subprocess.run({!r}, shell=True, check=True)"
# what the app does while it is imported, its `sandbox:`, what is said about it
BREAKS = [
    ("import mmap; mmap.mmap(-1, 4096, prot=7)", "", "MemoryDenyWriteExecute forbids: `sandbox: {jit: true}`"),
    ("open('/data/x', 'w')", "", "`sandbox: {writable: [/data]}`"),
    ("pass", "{writable: [/nosuch]}", "sudo install -d -o tiny -g tiny /nosuch"),
    ("import os; os.listdir('/home')", "", "ProtectHome hides /home"),
    ("import os; os.listdir('/etc/ssh')", "", "InaccessiblePaths hides /etc/ssh"),
    ("open('/dev/net/tun', 'rb', buffering=0)", "", "`sandbox: {devices: [/dev/net/tun]}`"),
    ("import socket; socket.create_connection(('192.0.2.1', 5432), 3)", "{network: false}", "PrivateNetwork"),
    ("import socket; socket.getaddrinfo('db.example.com', 5432)", "{network: false}", "PrivateNetwork"),
    ("import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "", "relax: [RestrictAddressFamilies]"),
    ("import os; os.nice(5)", "", "SystemCallFilter: an app does not change its priority"),
    ("import os; os.chroot('/tmp')", "", "rights of root"),
    ("import os; os.chroot('/tmp')", "{relax: [SystemCallErrorNumber]}", "SystemCallFilter ended it"),
    (SHELL.format("unshare -U true"), "", "relax: [RestrictNamespaces]"),
    (SHELL.format("sudo -n true"), "", "NoNewPrivileges"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
def test_the_setting_that_breaks_an_app_is_named(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer, suite: str
) -> None:
    server = fresh_server("forbidden", suite=suite)
    shop = Tiny(tmp_path, server, sandbox)
    shop.edit_inventory("health: {window: 0.2, timeout: 20}", "health: {window: 0.2, timeout: 8}")
    # it would be the first to break
    shop.edit_inventory('    release_command: "true"\n', "")
    shop.inv("provision")
    sh(sandbox, server, "mkdir -p /data && chmod 777 /data")
    shop.inv("deploy")
    before = shop.current()
    inventory = (shop.folder / "inventory.yaml").read_text()
    missed = []
    for code, switches, what in BREAKS:
        settings = f"    sandbox: {switches}\n" if switches else ""
        (shop.folder / "inventory.yaml").write_text(inventory.replace("hosts:\n", settings + "hosts:\n"))
        (shop.folder / "served.py").write_text(f"{code}\n{CODE}")
        shop.commit(code)
        refused = shop.inv("deploy", code=6)
        if what not in " ".join(refused.out.split()):
            missed.append(f"{code} {switches}: {what} is not in\n{refused}")
    assert not missed, "\n\n".join(missed)
    assert shop.current() == before
    # each of them works once what is said is done
    (shop.folder / "inventory.yaml").write_text(inventory)
    shop.edit_inventory(
        "hosts:\n", "    sandbox: {jit: true, writable: [/data], relax: [RestrictNamespaces]}\nhosts:\n"
    )
    (shop.folder / "served.py").write_text(f"{BREAKS[0][0]}\n{BREAKS[1][0]}\n{CODE}")
    shop.commit("allowed")
    shop.inv("deploy")
    shop.one_serves()
