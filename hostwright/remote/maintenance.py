"""`inv maintenance.on` and `.off` on the server: a file that nginx looks for at each request. At once, no reload.

No lock is taken. Who wants the page wants it now, while a long deploy goes on too; and no run reads or writes the file.
"""

from __future__ import annotations

import json
import re

from . import events
from .release.layout import Layout
from .run import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional

    from .conversation import Conversation
    from .system import System

# outside /srv and /run: it survives deploys and reboots
FOLDER = "/etc/hostwright/maintenance"
SITES = "/etc/nginx/sites-enabled"
SITE = "/etc/nginx/hostwright"


def query(request: Mapping[str, Any], system: System, conversation: Conversation) -> events.RunFinished:
    """Make the file of `app`, or remove it (`on`), and answer: app, on, changed; since and by as in `state`: of what is
    on now, or of what was just switched off.

    Raises:
        StepError: the app is not here, or nothing here would look at the file.
    """
    layout, on = Layout(request["app"]), bool(request["on"])
    before = state(system, layout.app)
    changed = on != (before is not None)
    if on:
        _require_site(system, layout)
        if changed:
            _switch_on(system, layout, str(request["by"]))
    elif changed:
        system.unlink(path(layout.app))
        system.fsync_directory(FOLDER)
    about = state(system, layout.app) or before or {"since": None, "by": ""}
    conversation.emit(events.Answered({"app": layout.app, "on": on, "changed": changed, **about}))
    return events.RunFinished("done", 0.0, changed=int(changed))


def state(system: System, app: str) -> Optional[dict[str, Any]]:
    """since (Unix seconds) and by (user@machine, empty when somebody made the file by hand); None while it is off."""
    found = system.stat(path(app))
    if found is None:
        return None
    try:
        about = json.loads(system.read(path(app)) or b"")
        return {"since": float(about["since"]), "by": str(about["by"])}
    except (ValueError, LookupError, TypeError, OSError):
        return {"since": found.mtime, "by": ""}


def path(app: str) -> str:
    """The file whose being there is all that nginx looks at."""
    return "%s/%s" % (FOLDER, app)


def _switch_on(system: System, layout: Layout, by: str) -> None:
    folder = system.stat(FOLDER)
    if folder is None:
        system.mkdir(FOLDER)
    elif folder.mode != 0o755:  # nginx's workers look into it
        system.chmod(FOLDER, 0o755)
    about = {"since": system.now(), "by": by}
    system.write_atomic(path(layout.app), json.dumps(about).encode() + b"\n", mode=0o644)


def _require_site(system: System, layout: Layout) -> None:
    """A page that nobody gets to see would be worse than an error."""
    if not system.exists(layout.template):
        raise StepError(
            "the app %s is not on this server; nothing was changed" % layout.app,
            hint="`inv provision` puts it there.",
        )
    mentioned = re.compile(rb"(?m)^[^#\n]*" + re.escape(path(layout.app)).encode() + rb"(?![\w-])")
    names = [SITES + "/" + name for name in system.listdir(SITES) if name.startswith("hostwright-")]
    folder = "%s/%s" % (SITE, layout.app)
    names += [folder + "/" + name for name in system.listdir(folder)]
    if not any(mentioned.search(system.read(name) or b"") for name in names):
        raise StepError(
            "nginx does not look at %s here; nothing was changed" % path(layout.app),
            hint="An older version set this site up, or a template of your own leaves it out. `inv provision` writes "
            "what is needed; `inv template.diff` shows what yours leaves out.",
        )
