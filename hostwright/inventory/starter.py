"""The inventory that `inv init` writes: short, commented, and valid as it is."""

from __future__ import annotations

import json
import re

import yaml

from hostwright.inventory.detect import Detected
from hostwright.inventory.reserved import check_app_name

TEMPLATE = """\
# yaml-language-server: $schema=./inventory.schema.json
#
# What is deployed, and where. Your code was read for the guesses below, never run.
# Check the lines marked "guess", describe your server under `hosts:`, then: inv provision, inv deploy

hostwright: ">=0.1"
project: {name:<23} # whose things these are on a server, whatever this folder is called

defaults:
  user: ubuntu                   # logs in on every run: root, or a user with sudo
  # bootstrap_user: root         # only while `user` cannot log in: provision creates `user` through it
  # identity_file: ~/.ssh/id_ed25519

apps:
  {name}:
    source: .                    # this checkout; or a git URL, which the server clones
{serving}
    domains: []                  # e.g. [www.example.com]; none: it answers to every name and the address
{health}
{building}
    env:
      # LOG_LEVEL: info
      # SECRET_KEY: {{from_env: SECRET_KEY}}     # taken from this machine's environment
    # env_file: .env.production  # NAME=value lines, all secret; keep it out of git

# Without any, say `--host [user@]address[:port]`.
hosts:
  # web1:
  #   address: 203.0.113.10
"""


def render_inventory(detected: Detected, name: str) -> str:
    """The text of inventory.yaml for a repository.

    Args:
        detected: what `detect` found.
        name: what to call the app; made into a valid name, e.g. "My Shop" -> "my-shop".
    """
    text = TEMPLATE.format(
        name=app_name(name),
        serving="\n".join(_serving(detected)),
        health=_health(detected.health_path),
        building="\n".join(_building(detected)),
    )
    notes = "".join(f"# Note: {note}\n" for note in detected.notes)
    first, _, rest = text.partition("\n\n")
    return f"{first}\n{notes}\n{rest}"


def _serving(detected: Detected) -> list[str]:
    """The lines that say how the app is started."""
    module, requirements = detected.module, detected.requirements
    return [
        _line(
            "directory",
            _scalar(detected.directory),
            "guess: the import root" if module else "the import root",
        ),
        _line("module", module or "main:app", "guess" if module else "NOT FOUND: package.module:attribute"),
        _line("interface", detected.interface, f"guess: {detected.framework}" if module else "or wsgi"),
        _line(
            "requirements",
            _scalar(requirements or "requirements.txt"),
            "guess" if requirements else "NOT FOUND",
        ),
    ]


def _building(detected: Detected) -> list[str]:
    """The lines that say what runs before the app does."""
    django, lines = detected.django, []
    if django.build_command:
        lines.append(_line("build_command", django.build_command, "guess: STATIC_ROOT is set"))
    if django.static:
        pairs = ", ".join(f"{_scalar(url)}: {_scalar(path)}" for url, path in django.static)
        lines.append(_line("static", f"{{{pairs}}}", "guess: nginx serves it itself"))
    if django.release_command:
        lines.append(_line("release_command", django.release_command, "guess"))
    else:
        lines.append(f"    # release_command: {_migration(detected)}")
    return lines


def _migration(detected: Detected) -> str:
    """What a project of this framework mostly migrates its database with."""
    if detected.framework == "django":
        return "python manage.py migrate"
    if detected.framework == "flask" and detected.module:
        return f"flask --app {detected.module.partition(':')[0]} db upgrade"
    return "alembic upgrade head"


def _health(path: str) -> str:
    comment = "guess" if path != "/" else "guess: no route made for it was found"
    return _line("health", f"{{path: {_scalar(path)}}}", comment)


def app_name(text: str) -> str:
    """The nearest valid name for an app."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-").lstrip("0123456789-")[:27].rstrip("-") or "web"
    try:
        return check_app_name(name)
    except ValueError:
        # in front, so that no reserved beginning is left
        return f"app-{name}"


def _scalar(text: str) -> str:
    """Text as YAML: plain where that is safe, else in double quotes, which JSON's are."""
    safe = re.fullmatch(r"[A-Za-z./][A-Za-z0-9._/-]*", text) and yaml.safe_load(text) == text
    return text if safe else json.dumps(text, ensure_ascii=False)


def _line(key: str, value: str, comment: str) -> str:
    """A key of an app, its comment in the same column as the others."""
    text = f"    {key}: {value}"
    return f"{text:<32} # {comment}"
