"""The main job on real servers: provision, deploy, verify, change, roll back; twice; on both suites."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox, Server

from .conftest import SUITES, FreshServer
from .project import Project, sh


@pytest.mark.parametrize("suite", SUITES)
def test_provision_deploy_verify_change_roll_back(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer, suite: str
) -> None:
    server = fresh_server("story", suite=suite)
    shop = Project(tmp_path, server)
    shop.edit_inventory("hardening: off", "hardening: on")  # as it is by default

    first = shop.inv(
        "provision", "--host", f"ubuntu@{server.address}", "--identity", str(server.identity_file)
    )
    assert "Ready. Next" in first.out
    again = shop.inv("provision")
    assert re.search(r"web1 .*0 changed, \d+ unchanged", again.out), again

    deployed = shop.inv("deploy")
    commit = shop.git("rev-parse", "--short=7", "HEAD")
    status, body = shop.curl("/version")
    assert status == 200, deployed
    assert json.loads(body)["release"].endswith(commit)
    assert re.search(r"0 changed", shop.inv("provision").out), "a deploy leaves provision nothing to do"

    verified = shop.inv("verify")
    assert "0 do not" in verified.out

    changed = shop.change()
    shop.inv("deploy")
    assert json.loads(shop.curl("/version")[1])["release"].endswith(changed)
    shop.inv("rollback")
    assert json.loads(shop.curl("/version")[1])["release"].endswith(commit)
    shop.inv("deploy")
    assert json.loads(shop.curl("/version")[1])["release"].endswith(changed)

    _operator_commands(shop, changed)
    _survives_reboot(shop, sandbox, server, changed)


def _operator_commands(shop: Project, commit: str) -> None:
    releases = json.loads(shop.inv("releases", "--json").out)
    states = [release["state"] for release in releases["web1"]["releases"]]
    assert states.count("current") == 1
    assert commit in shop.inv("status").out
    assert "GET" in shop.inv("logs", "--lines", "200").out or "request" in shop.inv("logs").out
    assert "Hello from hello" in shop.inv("run", "printenv HELLO_GREETING").out
    assert shop.inv("run", "false", code=1)


def _survives_reboot(shop: Project, sandbox: Sandbox, server: Server, commit: str) -> None:
    sandbox.crash(server.name)
    sandbox.start(server.name)
    from .project import until

    until(lambda: shop.curl("/version")[0] == 200, 30, "the app answers after a power cut")
    assert json.loads(shop.curl("/version")[1])["release"].endswith(commit)
    assert re.search(r"0 changed", shop.inv("provision").out)


def test_check_on_a_fresh_server_changes_nothing(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    server = fresh_server("check")
    shop = Project(tmp_path, server)
    # all that a check could touch, except the agent's own copy under /var/lib/hostwright
    fingerprint = (
        "find /etc /srv /opt /usr/local -xdev -type f -exec sha256sum {} + | sort | sha256sum; "
        "sha256sum /var/lib/dpkg/status; getent passwd; systemctl list-unit-files --no-legend; "
        "systemctl list-units --plain --no-legend --type=service,socket --state=active | awk '{print $1, $3}' "
        "| grep -v -e user@ -e run-"
    )
    before = sh(sandbox, server, fingerprint)
    checked = shop.inv("provision", "--check", "--diff", code=4)
    assert "nothing was touched" in checked.out
    assert "nginx" in checked.out
    assert "+" in checked.out
    after = sh(sandbox, server, fingerprint)
    assert after == before


def test_check_without_python_installs_nothing_and_provision_does(
    tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer
) -> None:
    server = fresh_server("nopython")
    sh(
        sandbox,
        server,
        "DEBIAN_FRONTEND=noninteractive dpkg --purge --force-depends python3-minimal python3 >/dev/null 2>&1; "
        "rm -f /usr/bin/python3",
        timeout=120,
    )
    shop = Project(tmp_path, server)
    checked = shop.inv("provision", "--check", code=3)
    assert "there is no Python on this server yet" in checked.out
    sh(sandbox, server, "! test -e /usr/bin/python3")
    shop.inv("provision")
    assert re.search(r"0 changed", shop.inv("provision").out)


@pytest.mark.parametrize("login", ["root", "bootstrap", "password"])
def test_every_kind_of_login(tmp_path: Path, sandbox: Sandbox, fresh_server: FreshServer, login: str) -> None:
    server = fresh_server(login)
    shop = Project(tmp_path, server)
    if login == "root":
        shop.write_inventory(user="root")
    elif login == "bootstrap":
        sh(sandbox, server, "userdel -rf ubuntu; rm -f /etc/sudoers.d/*ubuntu* /etc/sudoers.d/90-*")
        shop.edit_inventory("user: ubuntu", "user: deploy, bootstrap_user: root")
    else:
        sh(
            sandbox,
            server,
            "rm -f /etc/sudoers.d/*; usermod -aG sudo ubuntu; echo 'ubuntu:s3cret word' | chpasswd",
        )
        shop.edit_inventory("user: ubuntu", "user: ubuntu, sudo_password: {from_env: SUDO_PW}")
        refused = shop.inv("provision", code=3)
        assert "SUDO_PW" in refused.out
    environ = shop.environ
    shop.environ = lambda **more: environ(SUDO_PW="s3cret word", **more)  # type: ignore[method-assign]
    first = shop.inv("provision")
    if login == "bootstrap":
        assert "proved: a new login as deploy works" in first.out
    assert re.search(r"0 changed", shop.inv("provision").out)
    shop.inv("deploy")
    assert shop.curl("/health")[0] == 200
    assert "s3cret word" not in sh(
        sandbox, server, "journalctl --no-pager | cat; cat /var/log/auth.log 2>/dev/null || true"
    )
