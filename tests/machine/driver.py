"""Runs on a sandbox server: converges resources with the agent's own classes, without the agent around them.

stdin: a JSON list of resources as they travel. stdout: one JSON line for each, see `converge`.
"""

from __future__ import annotations

import json
import os
import sys
import time

from remote import resources as kinds
from remote.resources.base import Context, Failed, Unknown, diff
from remote.system import CommandFailed, System


def converge(system, resource):
    said = []
    result = {
        "id": resource.id,
        "said": said,
        "changes": [],
        "message": "",
        "hint": "",
        "tail": [],
        "reason": "",
    }
    start = time.monotonic()
    try:
        changes = diff(resource.desired(system), resource.read(system))
        result["changes"] = [[c.attribute, c.before, c.after] for c in changes]
        result["outcome"] = "changed" if changes else "unchanged"
        if changes:
            resource.refuse(system)
            resource.apply(system, changes, Context(said.append, {}))
            left = diff(resource.desired(system), resource.read(system))
            result["left"] = [[c.attribute, c.before, c.after] for c in left]
    except Unknown as error:
        result.update(outcome="unknown", message=error.until)
    except Failed as error:
        result.update(
            outcome="failed", message=error.message, hint=error.hint, tail=error.tail, reason=error.reason
        )
    except CommandFailed as error:
        result.update(outcome="failed", message=str(error), tail=error.tail)
    result["seconds"] = round(time.monotonic() - start, 3)
    return result


def main():
    os.umask(0o022)
    system = System()
    declared = [kinds.from_wire(item) for item in json.load(sys.stdin)]
    system.prefetch_units([resource.name for resource in declared if resource.kind == "unit"])
    for resource in declared:
        print(json.dumps(converge(system, resource)), flush=True)


main()
