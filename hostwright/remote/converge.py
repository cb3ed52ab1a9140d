"""The loop: read, diff, report, act, read again, notify. The same code is the dry run (`apply=False`).

Pending reloads and restarts are written to the host before the first change that asks for them and removed
when done, so a run that died half-way heals in the next one.
"""

from __future__ import annotations

import time

from . import events
from .dropped import Dropped
from .guard.loop import Guarded
from .resources.base import Context, Failed, Unknown, diff
from .run import explain
from .system import CommandFailed, RunCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Collection, Optional

    from .ahead import Ahead
    from .catalog import Catalog, Handler
    from .guard.guard import Guard
    from .records import Records
    from .resources.base import Change, Resource
    from .run import Run
    from .system import System

# why nothing more is tried after the user cancelled
STOPPED = "stopped by the user"
# a unit whose reload goes on after systemctl has come back
NGINX = "nginx.service"


class Converge:
    """One pass over a catalog.

    Args:
        catalog: the desired state.
        system: the server.
        records: what is recorded on this host: owners and pending handlers.
        run: where events go.
        apply: change things; else only tell what would change.
        show_diff: add the diff of contents to the events.
        guard: of what decides who gets in; where there is none, that part of a catalog is applied like the rest.
    """

    def __init__(
        self,
        catalog: Catalog,
        system: System,
        records: Records,
        run: Run,
        *,
        apply: bool,
        show_diff: bool = False,
        guard: Optional[Guard] = None,
    ) -> None:
        self.catalog = catalog
        self.system = system
        self.records = records
        self.run = run
        self.apply = apply
        self.show_diff = show_diff
        self.guarded = Guarded(self, guard)
        self.counts = {"changed": 0, "unchanged": 0, "failed": 0, "skipped": 0, "unknown": 0}
        self.would_notify: dict[str, list[str]] = {}
        # what of theirs left the catalog stays for now: it may be what still serves
        self.failed_apps: set[str] = set()
        self._stopped_by = ""
        self._ahead: Optional[Ahead] = None
        self._seen: dict[str, list[Change]] = {}

    def converge(self) -> events.RunFinished:
        """Go through the catalog in order; the first failure skips what comes after it."""
        resources = self.catalog.resources
        units = [resource.name for resource in resources if resource.kind == "unit"]
        units += [name for resource in resources for name in resource.units]
        if units:
            self.system.prefetch_units(units)
        dropped = Dropped(self)
        if self.apply:
            from .ahead import Ahead

            self._ahead = Ahead(resources, self.system)
        elif units:
            from .meanwhile import unchanged

            self._seen = unchanged(resources, self.system)
        for resource in self.catalog.resources:
            if not self._stopped_by and self.run.cancelled():
                self._stopped_by = STOPPED
            if self._stopped_by:
                self._skip(resource, self._stopped_by)
            else:
                self._one(resource)
        if not self._stopped_by:
            dropped.remove()
        self.guarded.conclude(stopped=bool(self._stopped_by))
        if not self._stopped_by:
            self.handlers()
        if self.apply:
            self.records.save()
        outcome = (
            "cancelled" if self._stopped_by == STOPPED else "failed" if self.counts["failed"] else "done"
        )
        c = self.counts
        return events.RunFinished(
            outcome, self.run.seconds, c["changed"], c["unchanged"], c["failed"], c["skipped"], c["unknown"]
        )

    # -- one resource ------------------------------------------------------------------------------------

    def _one(self, resource: Resource) -> None:
        start = time.monotonic()
        try:
            changes = self._seen.get(resource.id)
            if changes is None:
                changes = diff(resource.desired(self.system), resource.read(self.system))
            if not changes:
                self.count("unchanged")
                self.records.claim(resource, resource.desired(self.system))
                self.run.emit(events.ResourceUnchanged(resource.id, resource.title))
                return
            lines = resource.content_diff(self.system) if self.show_diff else []
            recorded = self.records.state_of(resource.id)
            context = Context(self.run.output(resource.id), recorded, self.notice, self.run.ask)
            if self.apply:
                self.run.emit(events.ResourceStarted(resource.id, resource.title))
                resource.refuse(self.system)
                self.guarded.before(resource.id)
                self._act(resource, changes, context)
            else:
                self.guarded.before(resource.id)
                self._seen = {}
                resource.pretend(self.system)
                for name in resource.notify:
                    self.would_notify.setdefault(name, []).append(resource.id)
        except Unknown as unknown:
            self._unknown(resource, unknown, start)
            return
        except RunCancelled:
            # it was something that could be cut short; what it left is finished by the next run
            self._skip(resource, STOPPED)
            return
        except (Failed, CommandFailed, OSError) as error:
            self.failed(resource.id, resource.title, error, start, isolated=resource.isolated)
            self.failed_apps.add(resource.app)
            return
        self.count("changed")
        self.run.emit(
            events.ResourceChanged(
                resource.id,
                resource.title,
                [c.to_wire() for c in changes],
                time.monotonic() - start,
                lines,
                context.note,
            )
        )
        if context.kept:
            self.notice("the file that was there is kept as %s" % context.kept)

    def _act(self, resource: Resource, changes: list[Change], context: Context) -> None:
        """Record what must be reloaded, change, and look again whether it held."""
        if resource.settles:  # first: the reload that it asks for itself comes after it
            self._settle()
        for name in resource.notify:
            handler = self.catalog.handler(name)
            if handler:
                self.records.add_pending(handler, resource.id)
        if self._ahead:
            self._ahead.wait(resource)
        resource.apply(self.system, changes, context)
        desired = resource.desired(self.system)
        left = diff(desired, resource.read(self.system))
        if left:
            raise Failed(
                "it was applied, but %s is %r instead of %r"
                % (left[0].attribute, left[0].before, left[0].after),
                "Something on the server changes it back; look for another tool that manages it.",
            )
        self.records.claim(resource, desired)

    def _skip(self, resource: Resource, why: str) -> None:
        self._stopped_by = why
        self.count("skipped")
        self.run.emit(events.ResourceSkipped(resource.id, resource.title, why))

    def notice(self, message: str) -> None:
        """Tell what people must not miss."""
        self.run.emit(events.Noticed(message))

    def _unknown(self, resource: Resource, unknown: Unknown, start: float) -> None:
        if self.apply:  # what it waits for came before it in the catalog and is still not there
            why = Failed("cannot go on until %s" % unknown.until)
            self.failed(resource.id, resource.title, why, start)
            return
        self.count("unknown")
        self.run.emit(events.ResourceUnknown(resource.id, resource.title, unknown.until))

    def failed(self, id: str, title: str, error: Exception, start: float, *, isolated: bool = False) -> None:
        """Tell why something failed; unless it is isolated, nothing more is tried."""
        self.count("failed")
        if not isolated:
            self._stopped_by = "%s failed" % title
        fields: dict[str, Any] = {}
        if isinstance(error, CommandFailed):
            fields = {"argv": error.argv, "exit_code": error.exit_code, "tail": error.tail}
            message = error.reason
        elif isinstance(error, Failed):
            message = error.message
            fields = {
                "hint": error.hint,
                "tail": error.tail,
                "argv": error.argv,
                "exit_code": error.exit_code,
            }
            fields["reason"] = error.reason
        else:
            message = explain(error)
        self.run.emit(events.ResourceFailed(id, title, message, time.monotonic() - start, **fields))

    # -- handlers ------------------------------------------------------------------------------------------

    def handlers(self, only: Optional[Collection[str]] = None) -> bool:
        """Run what is due, or only handlers of these names; False where one failed."""
        pending = [(h, why) for h, why in self.records.pending() if only is None or h.name in only]
        if not self.apply:
            for name, why in self.would_notify.items():
                self.run.emit(events.HandlerRan(name, why, 0.0, True))
            for handler, why in pending:
                if handler.name not in self.would_notify:
                    self.run.emit(events.HandlerRan(handler.name, why, 0.0, True))
            return True
        for handler, why in pending:
            start = time.monotonic()
            error = self._run_handler(handler)
            if error:
                self.count("failed")
                self.run.emit(
                    events.ResourceFailed(
                        "handler:" + handler.name,
                        handler.name,
                        error.reason,
                        time.monotonic() - start,
                        error.argv,
                        error.exit_code or None,
                        error.tail,
                        "It stays pending: the next run tries again.",
                    )
                )
                return False
            self._ran(handler, why, start)
        return True

    def _settle(self) -> None:
        """Run what is due now, for a resource that needs it.

        Raises:
            CommandFailed: it cannot be run; it stays due.
        """
        for handler, why in self.records.pending():
            start = time.monotonic()
            error = self._run_handler(handler)
            if error:
                reason = "%s first: %s" % (handler.name, error.reason)
                raise CommandFailed(error.argv, error.exit_code, error.tail, reason)
            self._ran(handler, why, start)

    def _ran(self, handler: Handler, why: list[str], start: float) -> None:
        self.records.done(handler)
        self.run.emit(events.HandlerRan(handler.name, why, time.monotonic() - start, False))

    def _run_handler(self, handler: Handler) -> Optional[CommandFailed]:
        try:
            if handler.validate:
                self.system.run(handler.validate, timeout=handler.timeout)
            if NGINX in handler.argv:
                self._reload_nginx(handler)
            else:
                self.system.run(handler.argv, timeout=handler.timeout)
        except CommandFailed as error:
            return error
        return None

    def _reload_nginx(self, handler: Handler) -> None:
        """The run is not done while the old configuration answers."""
        from .nginx_reload import NginxReload

        reload = NginxReload(self.system)
        self.system.run(handler.argv, timeout=handler.timeout)
        left = reload.finish()
        if left:
            self.notice(left)

    @property
    def nothing_to_do(self) -> bool:
        """True after a dry run that found everything as it should be."""
        c = self.counts
        return not (
            c["changed"] or c["unknown"] or c["failed"] or self.records.pending() or self.records.unsaved
        )

    def count(self, outcome: str) -> None:
        """One more of an outcome."""
        self.counts[outcome] += 1
