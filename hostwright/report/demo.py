"""Recorded runs, to look at and to test with: what happens on servers, as events and the pauses between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hostwright.errors import HostKeyMismatch, HostwrightError
from hostwright.remote import events

# (seconds to wait, host, what happens); a str is a notice of the controller
Happening = tuple[float, str, events.Event | HostwrightError | str]
Scene = Sequence[Happening]
Change = Mapping[str, Any]

FACTS = {
    "os_id": "ubuntu",
    "os_version": "24.04",
    "os_name": "Ubuntu 24.04.3 LTS",
    "python": "3.12.3",
    "cores": 2,
    "memory_bytes": 2**31,
    "nginx": None,
    "hostname": "web1",
}
# 21 November 2026, 14:02:11 UTC
BEGAN = 1795269731.0
PACKAGES = (
    *("nginx", "git", "python3-venv", "python3-dev", "ca-certificates", "curl", "iproute2", "openssh-client"),
    *("tzdata", "build-essential", "libpq5", "rsync", "logrotate", "chrony"),
)
INSTALL = ("apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", "install", "--no-install-recommends", "--")
APT = (*INSTALL, *PACKAGES[:3])


def hello(**facts: Any) -> events.Hello:
    """The agent is up."""
    return events.Hello(1, "0123456789ab", {**FACTS, **facts})


def started(action: str = "provision", *, apply: bool = True, total: int = 53) -> events.RunStarted:
    """A run begins."""
    return events.RunStarted("7f3a", action, "hello", "deploy@laptop", BEGAN, apply, total)


def change(attribute: str, before: object, after: object) -> Change:
    """One attribute."""
    return {"attribute": attribute, "before": before, "after": after}


def made(kind: str, **attributes: object) -> list[Change]:
    """All attributes of something new."""
    return [change(name, None, after) for name, after in {"type": kind, **attributes}.items()]


def unchanged(count: int, host: str = "web1", pause: float = 0.01) -> Iterator[Happening]:
    """Resources that are as they should be."""
    for number in range(count):
        yield pause, host, events.ResourceUnchanged(f"file:/etc/{number}", f"file /etc/{number}")


def resource(host: str, name: str, changes: Sequence[Change], took: float, *said: str) -> Iterator[Happening]:
    """A resource that is changed in `took` seconds, with what its command prints meanwhile."""
    kind, _, about = name.partition(":")
    title = f"{kind.replace('_', ' ')} {about}"
    yield 0.0, host, events.ResourceStarted(name, title)
    for text in said:
        yield took / (len(said) + 1), host, events.Output(name, text)
    yield took / (len(said) + 1), host, events.ResourceChanged(name, title, changes, took)


def fresh(host: str = "web1") -> Iterator[Happening]:
    """Provisioning a bare server."""
    yield 0.3, host, f"{host}  first contact: host key SHA256:kq3dWm1xS0fE recorded in ~/.ssh/known_hosts"
    yield 0.11, host, hello(hostname=host)
    yield 0.0, host, started()
    names = [change(name, None, "installed") for name in PACKAGES]
    apt = (f"Unpacking {name} (1.22.1-9+deb12u1) ..." for name in PACKAGES)
    yield from resource(host, "packages:base", names, 6.2, "Reading package lists...", *apt)
    yield from resource(host, "timezone:Etc/UTC", [change("timezone", "Europe/Berlin", "Etc/UTC")], 0.02)
    home = [change("exists", False, True), change("home", None, "/srv/hello")]
    yield from resource(host, "user:hello", home, 0.1)
    folder = made("directory", mode="0755", owner="root", group="root")
    yield from resource(host, "directory:/srv/hello", folder, 0.0)
    conf = made("file", content="0a1b2c", mode="0644", owner="root", group="root")
    yield from resource(host, "file:/etc/nginx/nginx.conf", conf, 0.031)
    yield from resource(host, "file:/etc/nginx/sites-enabled/hostwright-default.conf", conf, 0.004)
    old = [change("content", "77aa", "88bb"), change("mode", "0600", "0644")]
    yield from resource(host, "file:/etc/ssh/sshd_config.d/00-hostwright.conf", old, 0.9)
    away = [change("target", "../sites-available/default", None)]
    yield from resource(host, "absent:/etc/nginx/sites-enabled/default", away, 0.001)
    venv = [change("python", None, "3.12")]
    yield from resource(host, "virtual_environment:/opt/hostwright/venv", venv, 1.4, "Resolved 14 packages")
    unit = [change("enabled", False, True), change("running", False, True)]
    yield from resource(host, "unit:nginx.service", unit, 0.3)
    yield from unchanged(42, host)
    yield 0.2, host, events.HandlerRan("reload nginx", ["file:/etc/nginx/nginx.conf", "file:/b"], 0.11, False)
    yield 0.0, host, events.Noticed("a reboot is needed before all updates are in use; nothing was restarted")
    yield 0.1, host, events.RunFinished("done", 9.6, changed=10, unchanged=42)


def no_op(host: str = "web1") -> Iterator[Happening]:
    """Provisioning it again."""
    yield 0.4, host, hello(hostname=host)
    yield 0.0, host, started()
    yield from unchanged(53, host, 0.004)
    yield 0.0, host, events.RunFinished("done", 0.7, unchanged=53)


def check(host: str = "web1") -> Iterator[Happening]:
    """--check --diff after an edit by hand."""
    yield 0.4, host, hello(hostname=host)
    yield 0.0, host, started(apply=False)
    yield from unchanged(30, host)
    diff = [
        "@@ -14,3 +14,3 @@",
        "     server_name hello.example.com;",
        "-    client_max_body_size 500m;",
        "+    client_max_body_size 25m;",
    ]
    path = "file:/etc/nginx/sites-enabled/hostwright-hello.conf"
    edited = [change("content", "77aa", "88bb"), change("mode", "0644", "0600")]
    yield 0.0, host, events.ResourceChanged(path, path.replace(":", " "), edited, 0.0, diff)
    names = [change(name, None, "installed") for name in PACKAGES]
    yield 0.0, host, events.ResourceChanged("packages:base", "packages base", names, 0.0)
    unit = "unit:hello.socket"
    yield 0.1, host, events.ResourceUnknown(unit, "unit hello.socket", "packages are installed")
    yield 0.0, host, events.HandlerRan("reload nginx", [path], 0.0, True)
    yield 0.0, host, events.RunFinished("done", 0.7, changed=2, unchanged=50, unknown=1)


def failed_apt(host: str = "web1") -> Iterator[Happening]:
    """apt fails; what came after it is not tried."""
    yield 0.4, host, hello(hostname=host)
    yield 0.0, host, started()
    yield from unchanged(4, host)
    name, title = "packages:base", "packages base"
    yield 0.0, host, events.ResourceStarted(name, title)
    yield 0.8, host, events.Output(name, "Err:1 http://deb.example bookworm/main amd64 nginx")
    tail = (
        "E: Failed to fetch http://deb.example/pool/main/n/nginx/nginx_1.22.1-9_amd64.deb  404  Not Found",
        "\x1b[31mE: Unable to fetch some archives\x1b[0m, maybe run apt-get update?",
    )
    hint = "Look at what the server's sources say, then run this again: apt-get update && apt-get check"
    message = "apt-get could not fetch a package"
    yield 0.4, host, events.ResourceFailed(name, title, message, 4.21, APT, 100, tail, hint)
    for number in range(48):
        skipped = f"file:/etc/{number}"
        yield 0.0, host, events.ResourceSkipped(skipped, skipped.replace(":", " "), "packages base failed")
    yield 0.0, host, events.RunFinished("failed", 4.4, unchanged=4, failed=1, skipped=48)


def steps(host: str, *found: tuple[str, str, float]) -> Iterator[Happening]:
    """Steps that end well."""
    for step, detail, took in found:
        yield 0.0, host, events.StepStarted(step)
        yield min(took, 1.0), host, events.StepFinished(step, detail, took)


def deploy(host: str = "web1", latency: int = 12) -> Iterator[Happening]:
    """A release goes live."""
    commit, release = "4f2c1d9e0b1a", "20261121t141502-4f2c1d9"
    if host == "web1":
        yield 0.0, host, 'hello  main 4f2c1d9 "Fix totals"'
    yield 0.4, host, hello(hostname=host, nginx="1.24.0")
    yield 0.0, host, events.SourceNeeded(commit, ["9b1e002"])
    yield 0.2, host, events.SourceReady(commit, "Fix totals", {"commit": "9b1e0021"})
    yield 0.0, host, started("deploy", total=0)
    yield from steps(
        host, ("guard", "12.4 GiB and 0.9 GiB of memory are free", 0.02), ("tree", "42 files", 0.2)
    )
    yield from steps(host, ("venv", "reused", 0.004), ("render", release, 0.01), ("sync", "", 0.02))
    yield 0.0, host, events.StepStarted("release_command", "alembic upgrade head")
    info = "INFO  [alembic.runtime.migration] Running upgrade 1a -> 2b"
    yield 0.4, host, events.Output("release_command", info)
    yield 0.7, host, events.StepFinished("release_command", "alembic upgrade head", 1.1)
    yield from steps(host, ("start", release, 0.31), ("health", f"200 in {latency} ms, 3 of 3", 0.8))
    yield from steps(
        host, ("switch", "0.6 ms", 0.003), ("drain", "1 connections still open", 0.3), ("prune", "", 0.0)
    )
    yield 0.0, host, events.RunFinished("done", 3.1, changed=1, state="4f2c1d9 is live")


def bad_release(host: str = "web1") -> Iterator[Happening]:
    """The health gate says no."""
    release = "20261121t141502-4f2c1d9"
    yield 0.4, host, hello(hostname=host, nginx="1.24.0")
    yield 0.2, host, events.SourceReady("4f2c1d9e0b1a", "Fix totals", {"commit": "9b1e0021"})
    yield 0.0, host, started("deploy", total=0)
    yield from steps(host, ("tree", "42 files", 0.2), ("venv", "reused", 0.004), ("start", release, 0.3))
    yield 0.0, host, events.StepStarted("health", "GET /health")
    for number in range(1, 13):
        yield 0.15, host, events.Output("health", f"try {number}: 500")
    tail = (
        "sqlalchemy.exc.OperationalError: could not connect to server: Connection refused",
        '\tIs the server running on host "10.0.0.5" and accepting TCP/IP connections?',
    )
    message = "GET /health -> 500 (12 tries)"
    hint = f"Its files are kept: inv run --release {release} env"
    yield 0.0, host, events.StepFailed("health", message, 30.0, (), None, tail, hint)
    live = "9b1e002 is live; nothing was switched"
    yield 0.0, host, events.RunFinished("refused", 31.2, failed=1, message=message, state=live)


def cancelled(host: str = "web1") -> Iterator[Happening]:
    """Ctrl-C in the middle of apt."""
    yield 0.4, host, hello(hostname=host)
    yield 0.0, host, started()
    yield from unchanged(11, host)
    yield 0.0, host, events.ResourceStarted("packages:base", "packages base")
    yield 0.8, host, events.Output("packages:base", "Unpacking nginx (1.24.0-2ubuntu7) ...")
    yield (
        1.0,
        host,
        (
            f"Cancelling on {host}: stopping at the next safe point. "
            "Press Ctrl-C again to leave it running without watching."
        ),
    )
    names = [change(name, None, "installed") for name in PACKAGES]
    yield 1.2, host, events.ResourceChanged("packages:base", "packages base", names, 3.0)
    for number in range(41):
        yield 0.0, host, events.ResourceSkipped(f"file:/x{number}", f"file /x{number}", "stopped by the user")
    yield 0.0, host, events.RunFinished("cancelled", 3.4, changed=1, unchanged=11, skipped=41)


def waited(host: str = "web1") -> Iterator[Happening]:
    """Another run holds the server, for too long."""
    holder = {"run": "9c1b", "what": "deploy hello 4f2c1d9", "by": "deploy@laptop", "began": BEGAN}
    yield 0.4, host, hello(hostname=host)
    for seconds in (0.0, 5.0, 10.0):
        yield 0.7, host, events.Waited(holder, seconds, 12)
    yield 0.5, host, events.RunFinished("busy", 12.0, message="another run holds this server")


def attached(host: str = "web1") -> Iterator[Happening]:
    """The last viewer was lost; its run is replayed, then this one begins."""
    holder = {"run": "7f3a", "what": "provision web1", "by": "deploy@laptop", "began": BEGAN}
    yield 0.4, host, hello(hostname=host)
    yield 0.0, host, events.Attached(holder)
    yield 0.0, host, started()
    home = [change("exists", False, True), change("home", None, "/srv/hello")]
    yield from resource(host, "user:hello", home, 0.1)
    yield 0.5, host, events.RunFinished("done", 61.0, changed=1, unchanged=52)
    yield 0.0, host, started()
    yield from unchanged(53, host, 0.004)
    yield 0.0, host, events.RunFinished("done", 0.3, unchanged=53)


def unreachable(host: str = "db1") -> Iterator[Happening]:
    """The host key changed."""
    yield (
        0.5,
        host,
        HostKeyMismatch(
            "the host key changed. Known: SHA256:kq3dWm1xS0fE (since 2026-03-01). Now: SHA256:Zt1m0aQ.",
            host=host,
            hint="Either the server was reinstalled, or someone is in between. If it was you:\n"
            "ssh-keygen -R 203.0.113.10",
        ),
    )


def together(*scenes: Iterator[Happening]) -> list[Happening]:
    """Scenes of several hosts at the same time."""
    timed: list[tuple[float, Happening]] = []
    for scene in scenes:
        now = 0.0
        for pause, host, what in scene:
            now += pause
            timed.append((now, (pause, host, what)))
    timed.sort(key=lambda pair: pair[0])
    starts = [0.0, *(now for now, _ in timed)]
    return [(now - before, host, what) for before, (now, (_, host, what)) in zip(starts, timed, strict=False)]


# name -> (title, hosts, what happens)
SCENES: Mapping[str, tuple[str, Sequence[str], Scene]] = {
    "fresh": ("provision", ("web1",), list(fresh())),
    "no-op": ("provision", ("web1",), list(no_op())),
    "check": ("provision --check --diff", ("web1",), list(check())),
    "failed-apt": ("provision", ("web1",), list(failed_apt())),
    "deploy": ("deploy hello", ("web1",), list(deploy())),
    "bad-release": ("deploy hello", ("web1",), list(bad_release())),
    "cancelled": ("provision", ("web1",), list(cancelled())),
    "busy": ("provision", ("web1",), list(waited())),
    "attached": ("provision", ("web1",), list(attached())),
    "two-hosts": ("provision", ("web1", "worker2"), together(fresh("web1"), failed_apt("worker2"))),
    "two-deploys": (
        "deploy hello",
        ("web1", "web2", "db1"),
        together(deploy(), deploy("web2", 14), unreachable()),
    ),
}
