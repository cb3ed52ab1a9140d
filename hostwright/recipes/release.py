"""What a release is made of besides code and packages: everything its process reads, rendered here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from hostwright.inventory import App, Host, Secret
from hostwright.inventory.tls import tls_of
from hostwright.recipes.processes import process_fields, process_files
from hostwright.recipes.render import Render
from hostwright.recipes.sandbox import release_sandbox, sandbox
from hostwright.remote.release import credentials
from hostwright.remote.release.deploy import STEPS
from hostwright.remote.release.environment import environment_file
from hostwright.remote.release.layout import Layout

Values = Mapping[str, str | Secret]

# what serves the app, as far as it does not name them itself: (requirement, module)
GUNICORN = ("gunicorn>=23,<28", "gunicorn")
UVICORN = ("uvicorn-worker>=0.3,<0.5", "uvicorn_worker")


@dataclass(frozen=True)
class Release:
    """A release's identity, the same on all hosts."""

    id: str
    commit: str
    subject: str


def stamp(now: datetime) -> str:
    """UTC time to the millisecond: two runs that begin in the same second make two releases."""
    now = now.astimezone(timezone.utc)
    return f"{now:%Y%m%dt%H%M%S}{now.microsecond // 1000:03d}"


def release_id(commit: str, now: datetime) -> str:
    """Time and short commit: sorts by time, is a unit's instance name, says where the code comes from."""
    return f"{stamp(now)}-{commit[:7]}"


def deploy_fields(app: App, host: Host, source: Mapping[str, Any], build_env: Values) -> dict[str, Any]:
    """What a request to deploy says about the app.

    Args:
        source: {kind: push, commit} or {kind: git, url, ref, forward_agent}; may hold `prefix`, the path of the
            app's checkout inside its repository.
        build_env: resolved.
    """
    source = dict(source)
    prefix = source.pop("prefix", ".")
    serving = [GUNICORN, UVICORN] if app.interface == "asgi" else [GUNICORN]
    return {
        "app": app.name,
        "source": source,
        "directory": _joined(prefix, app.directory),
        "requirements": _joined(prefix, app.requirements),
        "module": app.module,
        "interface": app.interface,
        "runtime": [requirement for requirement, _ in serving],
        "modules": [module for _, module in serving],
        "health": health(app, host),
        "release_command": list(app.release_argv),
        "release_command_timeout": app.release_command_timeout,
        "keep_releases": app.keep_releases,
        "drain": app.drain,
        "switch": app.switch,
        "build_command": list(app.build_argv),
        "build_env": _revealed(build_env),
        "static": dict(app.static),
        "shared": list(app.shared),
        "total": len(STEPS)
        - [app.build_argv, app.release_argv].count(())
        + bool(app.processes or app.timers),
    }


def _joined(prefix: str, path: str) -> str:
    parts = [part for part in f"{prefix}/{path}".split("/") if part not in ("", ".")]
    return "/".join(parts) or "."


def health(app: App, host: Host) -> dict[str, Any]:
    """How the release proves itself: asked as nginx would ask."""
    domain = next((name for name in app.domains if not name.startswith("*.")), "")
    if not domain and app.domains:
        domain = "health" + app.domains[0][1:]
    address = host.address.partition("%")[0]  # without the zone of an IPv6 address
    return {
        "path": app.health.path,
        "expect": app.health.expect,
        "contains": app.health.contains,
        "timeout": app.health.timeout,
        "window": app.health.window,
        "interval": app.health.interval,
        "headers": {
            "Host": domain or (f"[{address}]" if ":" in address else address),
            "X-Forwarded-For": "127.0.0.1",
            # an app that sends everybody to https would answer http with a redirect
            "X-Forwarded-Proto": "http" if tls_of(app, host).issuer == "off" else "https",
            "User-Agent": "hostwright-health",
        },
    }


def release_message(app: App, host: Host, release: Release, env: Values, render: Render) -> dict[str, Any]:
    """The answer to SourceReady: who the release is and the files of its folder.

    Args:
        env: the app's environment, resolved.

    Raises:
        RenderError
    """
    Layout(app.name).release(release.id)  # a ValueError here is a bug: ids are ours
    kept = _credentials(app, env)
    values = {name: value for name, value in _revealed(env).items() if name not in kept}
    values.update(HOSTWRIGHT_RELEASE=release.id, HOSTWRIGHT_COMMIT=release.commit)
    loaded = credentials.lines(Layout(app.name).release(release.id), kept)
    names = {"app": app, "host": host, "release": release}
    settings = (*limits(app), *loaded, *release_sandbox(app))
    files = {
        "gunicorn.conf.py": (render("gunicorn/gunicorn.conf.py.j2", **names), 0o644),
        "units/service.conf": (
            render("systemd/release-service.conf.j2", settings=settings, **names),
            0o644,
        ),
        "units/socket.conf": (render("systemd/release-socket.conf.j2", **names), 0o644),
        # systemd reads it as root; the app gets the values and cannot read the file
        "env": (environment_file(values), 0o600),
        **{f"{credentials.FOLDER}/{name}": (value, 0o600) for name, value in kept.items()},
    }
    properties = [*command_properties(app, release.id), *loaded]
    files.update(process_files(app, release, properties, render))
    return {
        "id": release.id,
        "files": {name: {"content": content, "mode": mode} for name, (content, mode) in files.items()},
        "properties": properties,
        **process_fields(app),
    }


def command_properties(app: App, release: str) -> list[str]:
    """The service properties of a command in a release, the same as those of the app's service."""
    folder = Layout(app.name).release(release)
    environment = (
        f"HOME=/var/lib/{app.name}",
        "PYTHONUNBUFFERED=1",
        "PYTHONDONTWRITEBYTECODE=1",
        f"PATH={folder}/venv/bin:/usr/local/bin:/usr/bin:/bin",
    )
    return [
        f"User={app.name}",
        f"Group={app.name}",
        f"WorkingDirectory={folder}/code",
        f"EnvironmentFile={folder}/env",
        *(f"Environment={value}" for value in environment),
        *sandbox(app),
        *limits(app),
    ]


def limits(app: App) -> list[str]:
    """What each service of an app may use: systemd.resource-control(5)."""
    given = [
        ("MemoryMax", app.limits.memory),
        # or what is over it fills the server's swap first: that is slow for everybody
        ("MemorySwapMax", "0" if app.limits.memory else None),
        ("TasksMax", app.limits.tasks),
        ("CPUQuota", app.limits.cpu),
    ]
    return [f"{name}={value}" for name, value in given if value]


def _credentials(app: App, env: Values) -> dict[str, str]:
    """The variables that the app gets as files."""
    if app.secrets != "credentials":
        return {}
    return {name: value.reveal() for name, value in env.items() if isinstance(value, Secret)}


def secrets(*environments: Values) -> list[str]:
    """The values that must never be seen, for the agent to redact."""
    return sorted(
        {value.reveal() for values in environments for value in values.values() if isinstance(value, Secret)}
    )


def _revealed(values: Values) -> dict[str, str]:
    return {name: value.reveal() if isinstance(value, Secret) else value for name, value in values.items()}
