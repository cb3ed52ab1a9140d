"""What a server asks for while it is provisioned: the packages of an app that was never deployed there.

Only where the commit says them all, with hashes: then the first deploy uses the same, and finds them installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hostwright.errors import HostwrightError
from hostwright.inventory import Host, Inventory
from hostwright.recipes.release import deploy_fields
from hostwright.remote.release.question import Question
from hostwright.remote.release.requirements import Problem, parse
from hostwright.run.source import resolve


def first_environment(inventory: Inventory, host: Host, data: Mapping[str, Any]) -> dict[str, Any]:
    """The packages of the commit that `inv deploy` would take now.

    Args:
        inventory: where the apps are described.
        host: who asks.
        data: app: its name.

    Returns:
        lock: a requirements file; modules: what must be importable. Nothing where only the deploy can tell: it
        would be refused, its source is fetched by the server, packages are to be resolved, an index wants a secret.
    """
    app = inventory.apps.get(str(data.get("app"))) if data.get("app") in host.apps else None
    if app is None or app.is_git_url or app.build_env:
        return {}
    try:
        source = resolve(app)
        about = deploy_fields(app, host, {"commit": source.commit, "prefix": source.prefix}, {})
        path = about["requirements"]
        text = parse(source.read, path).text
        # with a path in it, it is another one in the folder that the deploy makes
        if (
            not Question(source.read, path, about["runtime"], "").complete
            or text != parse(source.read, path, "/tree").text
        ):
            return {}
    except (HostwrightError, Problem, OSError):
        return {}  # the deploy will say it
    return {"lock": text, "modules": about["modules"]}
