"""A file: content, mode, owner. Atomic; a foreign file is backed up first; a validator can refuse it."""

from __future__ import annotations

import os

from ..digest import sha256
from ..features import fit
from .base import Failed, Resource, names_to_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Optional, Sequence

    from ..system import System
    from .base import Change, Context, State

BACKUPS = "/var/lib/hostwright/backups"
MACHINE_ID = "/etc/machine-id"


class File(Resource):
    """`name` is the absolute path.

    Args:
        content: text, UTF-8.
        mode: permission bits.
        owner, group: names; they may be made earlier in the same run.
        validate: a command that must accept the new file where it lies (nginx -t, visudo -cf PATH, sshd -t);
            when it does not, the old file is put back and the resource fails.
        judges_all: `validate` judges other files too: where it refused already what was there before, the new
            file is kept, and the last word is left to the handlers. Else two broken files block each other.
        sensitive: content is never shown, not even as a diff or a length.
        conditional: lines and blocks with marks such as `#?ipv6` stay only where that holds: features.fit.
        when: conditions for the whole file; where they do not hold, it must not be there.
        parts: other files that this one includes, path -> content: written with it, judged with it, and put back
            with it, because neither fits what the other was before. One that is empty must not be there.
        yields: when another project on this host declares this file, ours is not wanted.

    A file that is not as we left it (another's, or edited by hand) is kept under /var/lib/hostwright/backups
    before it is replaced: nothing is lost.
    """

    kind = "file"
    exclusive = True

    def __init__(
        self,
        *,
        name: str,
        content: str,
        mode: int = 0o644,
        owner: str = "root",
        group: str = "root",
        validate: Sequence[str] = (),
        judges_all: bool = False,
        sensitive: bool = False,
        conditional: bool = False,
        when: str = "",
        parts: Optional[Mapping[str, str]] = None,
        yields: bool = False,
        app: str = "",
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(name=name, app=app, notify=notify)
        self.content = content
        self.mode = mode
        self.owner = owner
        self.group = group
        self.validate = tuple(validate)
        self.judges_all = judges_all
        self.sensitive = sensitive
        self.conditional = conditional
        self.when = when
        self.parts = dict(parts or {})
        self.yields = yields

    def _wanted(self, system: System) -> dict[str, Optional[bytes]]:
        """Path -> content as this server gets it, of the parts and the file itself; None: must not be there.

        Raises:
            Failed: a condition that nobody knows, in a template.
            Unknown
        """
        texts = {**self.parts, self.name: self.content}
        try:
            if self.when and not system.has(self.when):
                return dict.fromkeys(texts)
            if self.conditional:
                texts = {path: fit(text, system.has) for path, text in texts.items()}
            wanted = {path: text.encode() if text.strip() else None for path, text in texts.items()}
            return {**wanted, self.name: texts[self.name].encode()}
        except ValueError as error:
            why = "%s, in what %s is made of" % (error, self.name)
            raise Failed(why, "docs/templates.md lists the conditions.") from None

    def _digest(self, system: System, content: bytes) -> str:
        """A short name for content in changes and records.

        A secret's is mixed with the machine's id, which no event carries: no guess can be checked with it.
        """
        if self.sensitive:
            content = (system.read(MACHINE_ID) or b"") + content
        return sha256(content)[:12]

    def desired(self, system: System) -> State:
        wanted = self._wanted(system)
        content = wanted[self.name]
        if content is None:
            return {"type": None, **{_about(path): None for path in self.parts}}
        return {
            "type": "file",
            "content": self._digest(system, content),
            **{_about(path): self._part(system, wanted[path]) for path in self.parts},
            "mode": "%04o" % self.mode,
            "owner": self.owner,
            "group": self.group,
        }

    def _part(self, system: System, content: Optional[bytes]) -> Optional[str]:
        return None if content is None else self._digest(system, content)

    def read(self, system: System) -> State:
        parts = {_about(path): self._content(system, path) for path in self.parts}
        found = system.stat(self.name)
        if found is None:
            return {"type": None, "content": None, **parts, "mode": None, "owner": None, "group": None}
        return {
            "content": self._content(system, self.name),
            "type": found.kind,
            **parts,
            "mode": "%04o" % found.mode,
            "owner": system.user_name(found.uid),
            "group": system.group_name(found.gid),
        }

    def _content(self, system: System, path: str) -> Optional[str]:
        """The digest of what is there; None for nothing and for a symlink, which is replaced."""
        found = system.stat(path)
        if found is None or found.kind == "link":
            return None
        if found.kind != "file":
            kind = "directory" if found.kind == "directory" else "device, pipe or socket"
            raise Failed("%s is a %s" % (path, kind), "Move it away: ls -ld %s" % path)
        content = system.read(path)
        return None if content is None else self._digest(system, content)

    def apply(self, system: System, changes: Sequence[Change], context: Context) -> None:
        wanted = self._wanted(system)
        before = [Before(system, path) for path in wanted]
        for path, new in wanted.items():
            old = system.read(path)
            recorded = context.recorded.get("content" if path == self.name else _about(path))
            if old is not None and old != new and recorded != self._digest(system, old):
                context.kept = back_up(system, path, old, self._digest(system, old))
        self._put(system, wanted)
        if self.validate and not self._valid(system, before, gone=wanted[self.name] is None):
            context.note = "not accepted yet: other files are wrong too"
            self._put(system, wanted)

    def _put(self, system: System, wanted: Mapping[str, Optional[bytes]]) -> None:
        """What includes others comes after them, and goes before them."""
        uid, gid = names_to_ids(system, self.owner, self.group)
        for path, content in wanted.items():
            if content is not None:
                folder = os.path.dirname(path)
                if not system.exists(folder):
                    system.mkdir(folder)
                system.write_atomic(path, content, mode=self.mode, uid=uid, gid=gid)
        for path in reversed([path for path, content in wanted.items() if content is None]):
            system.unlink(path)

    def _valid(self, system: System, before: Sequence[Before], gone: bool) -> bool:
        """Whether the new file is accepted; the old one is back where it is not.

        Raises:
            CommandFailed: it is refused, and the file is to blame.
        """
        from ..system import CommandFailed

        try:
            system.run(self.validate, timeout=60, read_only=True)
            return True
        except CommandFailed as error:
            restore(before)
            if self.judges_all and not system.run(self.validate, timeout=60, read_only=True, check=False).ok:
                return False
            what = "that there is no %s" if gone else "the new %s"
            reason = "refused %s (%s); the old state was put back" % (what % self.name, error.reason)
            raise CommandFailed(error.argv, error.exit_code, error.tail, reason) from None
        except BaseException:
            restore(before)
            raise

    def content_diff(self, system: System) -> list[str]:
        lines: list[str] = []
        for path, new in self._wanted(system).items():
            old = system.read(path)
            if old == new:
                continue
            if self.sensitive:
                return ["(content not shown: it holds secrets)"]
            lines += [] if path == self.name else ["%s:" % path]
            lines += compared(old, new)
        return lines[:500]


def compared(old: Optional[bytes], new: Optional[bytes]) -> list[str]:
    """Unified diff of two texts, without its head."""
    from difflib import unified_diff

    before, after = ((text or b"").decode("utf-8", "replace").splitlines() for text in (old, new))
    return list(unified_diff(before, after, "on the server", "wanted", lineterm="", n=2))[2:]


def _about(path: str) -> str:
    """The attribute of a part."""
    return "content of %s" % os.path.basename(path)


def restore(before: Sequence[Before]) -> None:
    """Put several things back, the last first."""
    for found in reversed(before):
        found.restore()


def back_up(system: System, path: str, content: bytes, digest: str) -> str:
    """Keep what was at a path; returns where. `digest` is a short name for the content."""
    kept = "%s%s.%s" % (BACKUPS, path, digest)
    if system.stat(kept) is None:
        if system.stat(BACKUPS) is None:
            system.mkdir(BACKUPS, mode=0o700)
        if system.stat(os.path.dirname(kept)) is None:
            system.mkdir(os.path.dirname(kept))
        system.write_atomic(kept, content, mode=0o600)
    return kept


class Before:
    """What was at a path, to put it back."""

    def __init__(self, system: System, path: str) -> None:
        self._system = system
        self._path = path
        self._found = system.stat(path)
        self._target = system.readlink(path)
        self._content = system.read(path)

    def restore(self) -> None:
        """Put it back, or remove what came where nothing was."""
        if self._target is not None:
            self._system.symlink_atomic(self._target, self._path)
        elif self._content is not None and self._found is not None:
            found = self._found
            self._system.write_atomic(
                self._path, self._content, mode=found.mode, uid=found.uid, gid=found.gid
            )
        else:
            self._system.unlink(self._path)
