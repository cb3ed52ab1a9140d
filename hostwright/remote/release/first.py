"""The environment of an app that was never deployed, made beside the rest of a provision.

The first deploy finds it by its key, as it finds one of an earlier release; nothing else knows of it. What goes wrong
here is told by that deploy, which does it again.
"""

from __future__ import annotations

from ..run import ERRORS
from ..system import RunCancelled
from .builder import Builder
from .dependencies import Lock
from .layout import UV, Layout
from .tree import Store
from .venv import ensure_venv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

    from ..run import Run
    from ..system import System

# what the controller is asked for, seconds it may take
QUESTION, ANSWER = "first_environment", 30.0
# seconds between two looks for what a build needs; how much longer than its own work a provision may take
POLL, PATIENCE = 0.05, 10.0


class FirstEnvironments:
    """Begins when it is made.

    Args:
        apps: their names; at least one.
        system: the server.
        run: asks the controller.
        runtime: /run/hostwright.
    """

    def __init__(self, apps: Iterable[str], system: System, run: Run, runtime: str) -> None:
        import threading

        self._run = run
        self._runtime = runtime
        self._end = threading.Event()
        self._given_up = self._building = False
        self._system = system.apart()
        self._system.cancelled = lambda: self._given_up or run.cancelled()
        self._apps = list(apps)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The rest is done: what has not begun does not begin, what takes much longer is left to the deploy."""
        self._end.set()
        if self._building:
            self._thread.join(PATIENCE)
            self._given_up = True
            self._thread.join()

    def _work(self) -> None:
        for app in self._apps:
            try:
                self._one(Layout(app))
            except (*ERRORS, RunCancelled):
                pass
            finally:
                self._building = False

    def _one(self, layout: Layout) -> None:
        # asked while apt works, and not after the end
        found = None if self._end.is_set() else self._run.ask(QUESTION, {"app": layout.app}, ANSWER)
        if not (found and found.get("lock") and isinstance(found.get("modules"), list)):
            return
        while not ready(self._system, layout):
            if self._end.wait(POLL):
                return
        self._building = True
        # its interpreter was updated meanwhile: the deploy's is another one, and so is its key
        if self._end.is_set() or (self._system.readlink("/proc/self/exe") or "").endswith(" (deleted)"):
            return
        builder = Builder(self._system, layout, {}, self._runtime, lambda line: None)
        lock = Lock(str(found["lock"]), "", "")
        try:
            ensure_venv(
                self._system, layout, Store(self._system, layout.venvs), builder, lock, found["modules"]
            )
        finally:
            self._system.remove_tree(layout.build)


def ready(system: System, layout: Layout) -> bool:
    """Is there what a build needs: uv, and of the app's folders the last one that the catalog makes?"""
    return system.exists(UV + "/bin/uv") and system.exists(layout.runtime)
