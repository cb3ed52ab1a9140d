"""What is true of every provisioned host."""

from __future__ import annotations

import pytest

from hostwright.recipes.base import PACKAGES
from hostwright.recipes.uv import HOME


@pytest.fixture
def listeners(host):
    """(address, port, process) of every listening TCP socket."""
    rows = [line.split() for line in host.check_output("ss -H -ltnp").splitlines()]
    found = []
    for row in rows:
        address, _, port = row[3].rpartition(":")
        process = row[5].split('"')[1] if len(row) > 5 else ""
        found.append((address.split("%")[0], int(port), process))
    return found


def test_packages_are_installed(host, server):
    installed = set(host.check_output("dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n'").splitlines())
    missing = [name for name in (*PACKAGES, *server.packages) if f"ii  {name}" not in installed]
    assert not missing


def test_no_package_is_half_installed(host):
    assert host.check_output("dpkg --audit") == ""


def test_uv_runs(host):
    assert host.run(f"{HOME}/bin/uv --version").succeeded


def test_nginx_is_enabled_and_running(host):
    nginx = host.service("nginx")
    assert nginx.is_enabled
    assert nginx.is_running


def test_nginx_configuration_is_valid(host):
    test = host.run("nginx -t")
    assert test.succeeded, test.stderr


def test_nginx_configuration_cannot_be_written_by_others(host):
    config = host.file("/etc/nginx/nginx.conf")
    assert (config.user, config.group) == ("root", "root")
    assert config.mode & 0o022 == 0


def test_ports_for_ssh_and_http_are_open(host, listeners):
    open_ports = {port for _, port, _ in listeners}
    assert 80 in open_ports
    assert any(process == "sshd" or process == "systemd" for _, port, process in listeners)


def test_apps_listen_on_no_port_of_their_own(host, listeners):
    """They are reached through their Unix sockets, by nginx alone."""
    public = [
        entry for entry in listeners if entry[0] not in ("127.0.0.1", "[::1]", "127.0.0.53", "127.0.0.54")
    ]
    assert [entry for entry in public if "gunicorn" in entry[2] or "python" in entry[2]] == []


def test_what_hostwright_keeps_is_readable_by_root_alone(host):
    state = host.file("/var/lib/hostwright")
    assert (state.user, state.mode) == ("root", 0o700)
