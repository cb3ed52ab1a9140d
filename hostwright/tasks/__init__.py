"""The Invoke tasks. A project's tasks.py is `from hostwright.tasks import ns`."""

from __future__ import annotations

import atexit
import gc
import sys

from invoke.collection import Collection

# Invoke forbids it, so that no tasks.pyc lies beside a tasks.py. But then nothing of ours is ever compiled in a
# checkout, and each command spends a third of its time on that. PYTHONDONTWRITEBYTECODE holds as it always does.
sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
# Most of a command is loading, and what is loaded stays: to look for garbage meanwhile is a twentieth of its time.
gc.set_threshold(50_000)
# Nor at the end, where Python looks through all of it more than once, and the process is gone anyway.
atexit.register(gc.freeze)

from hostwright.tasks.audit import audit
from hostwright.tasks.certificates import renew
from hostwright.tasks.certificates import status as certificate_status
from hostwright.tasks.deploy import deploy, prune, restart, rollback
from hostwright.tasks.maintenance import off, on
from hostwright.tasks.operate import logs, releases, run, status, verify
from hostwright.tasks.project import init, schema
from hostwright.tasks.provision import cancel, provision
from hostwright.tasks.sandbox import crash, down, exec_, list_, save, ssh, start, up
from hostwright.tasks.template import diff, eject
from hostwright.tasks.template import list_ as list_templates

__all__ = ["ns"]

ns = Collection(
    provision, deploy, rollback, restart, releases, status, logs, run, verify, audit, prune, cancel, init
)
ns.add_collection(Collection("inventory", schema))
ns.add_collection(Collection("cert", renew, status=certificate_status))
ns.add_collection(Collection("maintenance", on, off))
ns.add_collection(Collection("template", list_templates, eject, diff))
ns.add_collection(Collection("sandbox", up, list_, ssh, exec_, crash, start, save, down))
