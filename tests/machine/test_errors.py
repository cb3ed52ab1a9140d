"""What users do wrong and what servers run into: each error says what happened, where and what to do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox, Server

from .conftest import FreshServer
from .project import Project, sh


@pytest.fixture
def server(fresh_server: FreshServer) -> Server:
    return fresh_server("errors")


def test_what_cannot_be_reached(tmp_path: Path, server: Server) -> None:
    shop = Project(tmp_path, server)
    unknown = shop.inv("provision", "--host", "no-such-name.invalid", code=3)
    assert "does not resolve" in unknown.out
    prefix = server.address.rsplit(".", 1)[0]
    nobody = shop.inv("provision", "--host", f"ubuntu@{prefix}.250", code=3, timeout=40)
    assert re.search(r"timed out|no route|unreachable", nobody.out, re.IGNORECASE), nobody
    refused = shop.inv("provision", "--host", f"ubuntu@{server.address}:2222", code=3)
    assert "refuses the connection" in refused.out
    stranger = tmp_path / "stranger"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)), check=True)
    wrong = shop.inv("provision", "--identity", str(stranger), code=3)
    assert "stranger" in wrong.out
    assert f"ubuntu@{server.address}" in wrong.out
    missing = shop.inv("provision", "--identity", str(tmp_path / "nothing"), code=2)
    assert "nothing" in missing.out
    for said in (unknown, nobody, refused, wrong, missing):
        assert "Traceback" not in said.out


def test_wrong_inventory(tmp_path: Path, server: Server) -> None:
    shop = Project(tmp_path, server)
    shop.edit_inventory("requirements:", "requirement:")
    shop.edit_inventory("apps: [hello]", "apps: [hello], port: 22a")
    said = shop.inv("provision", code=2).out
    assert re.search(
        r'inventory\.yaml:\d+:\d+ +apps\.hello\.requirement: unknown key.*"requirements"', said
    ), said
    assert re.search(r'inventory\.yaml:\d+:\d+ +hosts\.web1\.port: expected an integer.*"22a"', said), said
    assert "2 problems, nothing was contacted" in said


def test_bad_releases_leave_the_old_one_serving(tmp_path: Path, sandbox: Sandbox, server: Server) -> None:
    shop = Project(tmp_path, server)
    shop.inv("provision")
    shop.inv("deploy")
    good = shop.curl("/version")

    def still_good() -> None:
        assert shop.curl("/version") == good

    # uncommitted changes
    (shop.folder / "app" / "extra.py").write_text("x = 1\n")
    said = shop.inv("deploy", code=1).out
    assert "uncommitted" in said
    assert "extra.py" in said
    (shop.folder / "app" / "extra.py").unlink()

    # a health check that fails: the app answers 500
    main = shop.folder / "app" / "main.py"
    text = main.read_text()
    main.write_text(
        text
        + '\n@app.middleware("http")\nasync def broken(request, call_next):\n    raise RuntimeError("boom 42")\n'
    )
    shop.edit_inventory("timeout: 20", "timeout: 5")
    shop.commit("broken at run time")
    said = shop.inv("deploy", code=6).out
    assert "500" in said
    assert "boom 42" in said, said
    still_good()

    # an app that crashes when it is imported fails at once, not after the timeout
    main.write_text("raise RuntimeError('crashed on import')\n")
    shop.commit("broken at import")
    result = shop.inv("deploy", code=6)
    assert "crashed on import" in result.out, result
    still_good()

    # requirements that cannot be had
    main.write_text(text)
    requirements = shop.folder / "app" / "requirements.txt"
    kept = requirements.read_text()
    requirements.write_text("no-such-package-zzz==9.9\n")
    shop.commit("broken requirements")
    said = shop.inv("deploy", code=1).out
    assert "no-such-package-zzz" in said, said
    still_good()
    requirements.write_text(kept)

    # a release command that fails
    shop.edit_inventory("    env:", "    release_command: \"python -c 'raise SystemExit(3)'\"\n    env:")
    shop.change("with a release command")
    said = shop.inv("deploy", code=1).out
    assert re.search(r"exit code 3", said), said
    still_good()
    assert "0 do not" in shop.inv("verify").out


def test_full_disk(tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer) -> None:
    server = fresh_server("full", disk_mib=1200)
    shop = Project(tmp_path, server)
    shop.inv("provision")
    shop.inv("deploy")
    good = shop.curl("/version")
    sh(
        sandbox,
        server,
        "fallocate -l $(( $(df --output=avail -B1 / | tail -1) - 2000000 )) /root/ballast || "
        "dd if=/dev/zero of=/root/ballast bs=1M 2>/dev/null || true",
    )
    sh(sandbox, server, "dd if=/dev/zero of=/root/ballast2 bs=4k 2>/dev/null || true")
    shop.change()
    said = shop.inv("deploy", code=1).out
    assert re.search(r"disk|space", said, re.IGNORECASE), said
    assert shop.curl("/version") == good
    sh(sandbox, server, "rm -f /root/ballast /root/ballast2")
    shop.inv("deploy")
    assert shop.curl("/version") != good


def test_server_without_a_package_index_gets_uv_from_here(
    tmp_path: Path, sandbox: Sandbox, server: Server
) -> None:
    sh(sandbox, server, "printf '[global]\\nindex-url = http://127.0.0.1:9/simple\\n' > /etc/pip.conf")
    shop = Project(tmp_path, server)
    said = shop.inv("provision").out
    assert "sending uv from here" in said
    assert re.search(r"0 changed", shop.inv("provision").out)
    sh(sandbox, server, "/opt/hostwright/uv/bin/uv --version")
