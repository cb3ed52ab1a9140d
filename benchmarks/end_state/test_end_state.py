"""The end state: what a server must be like, whoever made it so. `benchmarks.end_state.check` runs it.

It knows no peer's paths: it asks sshd, nftables, systemd, apt and fail2ban for what is in force, and visits the site.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import ssl
import subprocess
import time
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

SITE: dict[str, Any] = json.loads(Path(os.environ["BENCH_SITE"]).read_text())
APPS = sorted(SITE["apps"])
PATIENCE = 20.0  # seconds
CLOSED = 8099


def domain(app: str) -> str:
    return str(SITE["apps"][app]["domain"])


def visit(name: str, path: str, tls: bool = True, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, as a visitor who knows the address and trusts the certificate alone."""
    with socket.create_connection((SITE["address"], 443 if tls else 80), timeout=PATIENCE) as link:
        stream = link
        if tls:
            trust = ssl.create_default_context(cafile=SITE["certificate"])
            stream = trust.wrap_socket(link, server_hostname=name)
        lines = [f"GET {path} HTTP/1.1", f"Host: {name}", "Connection: close"]
        lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
        stream.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = HTTPResponse(stream)
        answer.begin()
        found = {key.lower(): value for key, value in answer.getheaders()}
        return answer.status, found, answer.read()


def running(host: Any, app: str) -> dict[str, str]:
    """The properties of the unit that runs the app's web server, whatever it is called."""
    units = host.check_output("systemctl list-units --plain --no-legend --state=running '%s*.service'", app)
    for line in units.splitlines():
        unit = line.split()[0]
        asked = (
            "Id,User,EnvironmentFiles,NoNewPrivileges,ProtectSystem,PrivateTmp,ExecStart,SubState,DropInPaths"
        )
        shown = host.check_output("systemctl show -p %s %s", asked, unit)
        properties = dict(entry.partition("=")[::2] for entry in shown.splitlines())
        if "gunicorn" in properties["ExecStart"]:
            return properties
    raise AssertionError(f"no unit {app}* runs gunicorn: {units}")


# -- the host ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", [name for name in SITE["packages"] if name != "python3-systemd"])
def test_package(host: Any, package: str) -> None:
    assert host.package(package).is_installed


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("passwordauthentication", "no"),
        ("kbdinteractiveauthentication", "no"),
        ("permitrootlogin", "no"),
        ("x11forwarding", "no"),
        ("maxauthtries", "3"),
    ],
)
def test_sshd_is_strict(host: Any, keyword: str, value: str) -> None:
    said = host.check_output("sshd -T -C user=root,host=any,addr=192.0.2.1")
    settings = dict(line.partition(" ")[::2] for line in said.splitlines())
    assert settings[keyword] == value


def login(user: str, command: str) -> subprocess.CompletedProcess[str]:
    options = (f"UserKnownHostsFile={SITE['known_hosts']}", "BatchMode=yes", "IdentitiesOnly=yes")
    argv = ("ssh", "-F", "none", "-i", SITE["identities"][user], *(f"-o{option}" for option in options))
    return subprocess.run(
        (*argv, f"{user}@{SITE['address']}", command), capture_output=True, text=True, check=False, timeout=30
    )


def test_sshd_has_read_its_settings() -> None:
    """Root's key opens nothing any more, and nothing but a key is asked for: the running sshd knows it too."""
    done = login("root", "true")
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


def test_the_admin_gets_in_and_becomes_root() -> None:
    done = login(SITE["admin"], "sudo -n id -u")
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr


def test_only_three_ports_are_open(host: Any) -> None:
    """Something listens on another port, and is not reached."""
    name = f"bench-closed-{os.getpid()}"
    serve = f"systemd-run --quiet --collect --unit={name} python3 -m http.server {CLOSED}"
    host.check_output(serve)
    try:
        up = f"for _ in $(seq 50); do curl -sfo /dev/null http://127.0.0.1:{CLOSED}/ && exit; sleep 0.1; done; exit 1"
        assert host.run("sh -c %s", up).rc == 0
        for port in (22, 80, 443):
            socket.create_connection((SITE["address"], port), timeout=PATIENCE).close()
        with pytest.raises(OSError, match=r"timed out|refused|unreachable"):
            socket.create_connection((SITE["address"], CLOSED), timeout=2).close()
    finally:
        host.run("systemctl stop %s", name)


def test_what_comes_in_is_dropped_over_both_protocols(host: Any) -> None:
    tables = json.loads(host.check_output("nft -j list ruleset"))["nftables"]
    families = {
        entry["chain"]["family"]
        for entry in tables
        if entry.get("chain", {}).get("hook") == "input" and entry["chain"].get("policy") == "drop"
    }
    assert "inet" in families or families >= {"ip", "ip6"}


def test_the_firewall_is_there_after_a_boot(host: Any) -> None:
    """nftables' own unit, or another that loads rules before the network."""
    enabled = host.check_output("systemctl list-unit-files --no-legend --state=enabled --type=service")
    units = [line.split()[0] for line in enabled.splitlines()]
    texts = (host.run("systemctl cat %s", unit).stdout for unit in units)
    assert any("nft" in line for text in texts for line in text.splitlines() if line.startswith("ExecStart="))


def test_fail2ban_watches_sshd(host: Any) -> None:
    status = host.check_output("fail2ban-client status sshd")
    assert "Journal matches" in status


def test_security_updates_are_installed(host: Any) -> None:
    said = host.check_output("apt-config dump")
    for name in ("Update-Package-Lists", "Unattended-Upgrade"):
        assert f'APT::Periodic::{name} "1";' in said
    assert host.service("unattended-upgrades").is_enabled


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("net.core.somaxconn", "4096"),
        ("net.ipv4.conf.all.accept_redirects", "0"),
        ("net.ipv4.conf.default.accept_redirects", "0"),
        ("net.ipv4.conf.all.accept_source_route", "0"),
        ("net.ipv4.conf.all.send_redirects", "0"),
        ("net.ipv4.conf.all.log_martians", "1"),
        ("net.ipv4.tcp_rfc1337", "1"),
        ("net.ipv4.tcp_syncookies", "1"),
    ],
)
def test_kernel_setting(host: Any, key: str, value: str) -> None:
    assert host.check_output("sysctl -n %s", key) == value


@pytest.mark.parametrize("line", ["kernel.dmesg_restrict = 1", "kernel.kptr_restrict = 2"])
def test_kernel_setting_that_a_container_refuses(host: Any, line: str) -> None:
    said = host.check_output("systemd-analyze cat-config sysctl.d")
    name = line.partition(" ")[0]
    assert [found for found in said.splitlines() if found.partition(" ")[0] == name][-1] == line


def test_the_journal_is_limited(host: Any) -> None:
    assert (
        "SystemMaxUse=500M"
        in host.check_output("systemd-analyze cat-config systemd/journald.conf").splitlines()
    )


# -- the site ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", APPS)
def test_app_runs_in_a_sandbox_as_a_user_of_its_own(host: Any, app: str) -> None:
    unit = running(host, app)
    assert unit["User"] == app
    assert host.user(app).uid < 1000
    assert (unit["NoNewPrivileges"], unit["ProtectSystem"], unit["PrivateTmp"]) == ("yes", "strict", "yes")


@pytest.mark.parametrize("app", APPS)
def test_app_is_there_after_a_boot(host: Any, app: str) -> None:
    """The unit that runs it, or one of the app's name that starts it."""
    enabled = (host.service(unit).is_enabled for unit in (app, running(host, app)["Id"]))
    assert any(enabled)


@pytest.mark.parametrize("app", APPS)
def test_secrets_are_roots_alone(host: Any, app: str) -> None:
    path = running(host, app)["EnvironmentFiles"].split(" (")[0]
    file = host.file(path)
    assert (file.user, file.mode) == ("root", 0o600)
    assert SITE["apps"][app]["greeting"] in file.content_string


@pytest.mark.parametrize("app", APPS)
def test_app_answers_over_https(app: str) -> None:
    status, headers, body = visit(domain(app), "/health")
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    assert headers["server"] == "nginx"  # and no version
    greeting = SITE["apps"][app]["greeting"]
    assert greeting in visit(domain(app), "/")[2].decode()


@pytest.mark.parametrize("app", APPS)
def test_app_is_of_the_commit(app: str) -> None:
    told = json.loads(visit(domain(app), "/version")[2])["mark"]
    assert SITE["mark"] in (told, "")


@pytest.mark.parametrize("app", APPS)
def test_http_leads_to_https(app: str) -> None:
    status, headers, _ = visit(domain(app), "/version?a=b", tls=False)
    assert status in (301, 308)
    assert headers["location"] == f"https://{domain(app)}/version?a=b"


@pytest.mark.parametrize("app", APPS)
def test_answers_are_compressed(app: str) -> None:
    status, headers, body = visit(domain(app), "/openapi.json", accept_encoding="gzip")
    assert (status, headers.get("content-encoding")) == (200, "gzip")
    assert body[:2] == b"\x1f\x8b"


def test_app_is_served_under_no_name_but_its_own() -> None:
    """Nothing is answered, not even a page that says no."""
    with pytest.raises((OSError, ValueError)):  # ssl's, a reset, or an answer without a status line
        visit("other.example.com", "/health")
    with pytest.raises(ConnectionError):  # http.client's RemoteDisconnected
        visit(SITE["address"], "/health", tls=False)


@pytest.mark.parametrize("app", APPS)
def test_app_comes_back_when_it_dies(host: Any, app: str) -> None:
    unit = running(host, app)
    host.check_output("pkill -KILL -u %s", shlex.quote(unit["User"]))
    end = time.monotonic() + PATIENCE
    status = 0
    while status != 200 and time.monotonic() < end:
        time.sleep(0.2)
        status = visit(domain(app), "/health")[0]
    assert status == 200
