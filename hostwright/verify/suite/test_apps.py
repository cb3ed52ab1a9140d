"""What is true of every app on a host, and of the release that serves it."""

from __future__ import annotations

import json

from hostwright.recipes.tls import https_of
from hostwright.remote import maintenance


def test_user_cannot_log_in(host, app):
    user = host.user(app.name)
    assert user.exists
    assert user.shell.endswith(("nologin", "false"))


def test_code_cannot_be_written_by_the_app(host, app):
    folder = host.file(f"/srv/{app.name}")
    assert folder.is_directory
    assert folder.user == "root"
    # but for the directories that outlive releases, which are there to be written
    writable = host.check_output(
        "find %s -xdev -path %s -prune -o ! -type l \\( -user %s -o -perm -o=w \\) -not -path '*/.cache/*' "
        "-print -quit",
        f"/srv/{app.name}",
        f"/srv/{app.name}/shared",
        app.name,
    )
    assert writable == ""


def test_shared_directories_are_for_the_app_and_nginx(host, app):
    for name in app.shared:
        folder = host.file(f"/srv/{app.name}/shared/{name}")
        assert (folder.user, folder.group, folder.mode) == (app.name, "www-data", 0o2750)


def test_state_folder_belongs_to_the_app(host, app):
    folder = host.file(f"/var/lib/{app.name}")
    assert folder.is_directory
    assert folder.user == app.name
    assert folder.mode & 0o007 == 0


def test_starts_at_boot(host, app):
    assert host.service(f"{app.name}.service").is_enabled


def test_current_release_runs_and_no_other_is_left(host, app, current):
    assert host.service(f"{app.name}@{current}.service").is_running
    assert host.service(f"{app.name}@{current}.socket").is_running
    units = host.check_output(f"systemctl list-units --plain --no-legend --state=failed '{app.name}@*'")
    assert units == ""


def test_current_release_is_complete(host, app, current):
    release = f"/srv/{app.name}/releases/{current}"
    for name in ("code", "venv"):
        assert host.file(f"{release}/{name}").is_symlink
        assert host.run("test -d %s", f"{release}/{name}/").succeeded
    record = json.loads(host.file(f"{release}/release.json").content_string)
    assert record["id"] == current


def test_environment_is_readable_by_root_alone(host, app, current):
    env = host.file(f"/srv/{app.name}/releases/{current}/env")
    assert (env.user, env.mode) == ("root", 0o600)
    probe = host.run("runuser -u %s -- cat %s", app.name, f"/srv/{app.name}/releases/{current}/env")
    assert probe.failed


def test_socket_is_for_nginx_and_the_app(host, app, current):
    path = f"/run/{app.name}/{current}.sock"
    assert host.file(path).is_socket
    assert host.file(path).mode & 0o007 == 0
    assert host.run("runuser -u www-data -- test -w %s", path).succeeded


def test_answers_healthy_through_nginx(host, server, app, current):
    name = (app.nginx.canonical or app.domains[0]).replace("*", "any", 1) if app.domains else "localhost"
    if https_of(app, server) is None:
        words = ["-H", f"Host: {name}", f"http://127.0.0.1{app.health.path}"]
    else:  # whether the certificate is any good is another question: test_tls.py
        words = ["--insecure", "--resolve", f"{name}:443:127.0.0.1", f"https://{name}{app.health.path}"]
    answer = host.run("curl -sS -o /dev/null -m 10 -w '%%{http_code}'" + " %s" * len(words), *words)
    hidden = host.file(maintenance.path(app.name)).exists
    said = f"{answer.stdout}: maintenance is on, until `inv maintenance.off`" if hidden else answer.stderr
    assert answer.stdout == str(app.health.expect), said
