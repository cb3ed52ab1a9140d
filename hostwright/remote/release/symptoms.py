"""What a refused release most likely suffers from, in words that say what to do. Pure."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Sequence

    from .ask import Reply

# what an app wrote -> what to do; the first that fits
WRITTEN = (
    (r"No space left on device", "A disk of the server is full: df -h and df -i there."),
    (r"missing \d required positional arguments?: .*'send'", "That is an ASGI app: `interface: asgi`."),
    (
        r"takes [23] positional arguments but [34] were given|uvicorn/middleware/asgi2\.py",
        "Is it a WSGI app? `interface: wsgi`.",
    ),
    (
        r"Failed to find (attribute|application)|Failed to parse .* as an attribute|object must be callable",
        "See `module:` in the inventory.",
    ),
    (r"ModuleNotFoundError", "Is it in the requirements, or below `directory:`?"),
    (r"Address already in use", "The app is served through a socket; it must not listen itself."),
    (r"KeyError: '[A-Z][A-Z0-9_]+'", "Is that a variable? Then it belongs into `env:` or `env_file:`."),
)


def heard(app: str, written: Sequence[str], settings: str = "") -> str:
    """What to do about what an app or a command of it wrote, or an empty string.

    Args:
        settings: the lines of its sandbox.
    """
    from .forbidden import forbidden

    text = "\n".join(written)
    for pattern, what in WRITTEN:
        if re.search(pattern, text):
            return what
    return forbidden(app, text, settings)


def advice(
    app: str, health: Mapping[str, Any], reply: Reply, written: Sequence[str], settings: str = ""
) -> str:
    """What to do about it in one sentence or two, or an empty string.

    Args:
        app: name.
        health: `path`, `expect`, `headers`.
        reply: the last one.
        written: the telling lines of the instance's log.
        settings: the lines of its sandbox.
    """
    told = heard(app, written, settings)
    if told:
        return told
    if reply.silent and not written:
        return "Does it wait for something while it is imported or asked, e.g. a database?"
    if reply.status in (0, health["expect"]):
        return ""
    if reply.location.startswith("https:"):
        return "This site is served over http: leave %s out of what redirects to https." % health["path"]
    if reply.status == 400:
        host = health["headers"].get("Host", "")
        return "It was asked with `Host: %s`: is that a name it allows (Django: ALLOWED_HOSTS)?" % host
    if reply.status < 500:
        return "See `health:` in the inventory: a path that answers for itself, and the status to expect."
    return ""
