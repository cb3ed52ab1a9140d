"""The journal of a run: its events as lines, in memory for whoever watches, on disk for later.

Known secret values are redacted before anything is written. A full disk never stops a run: what cannot be
kept on disk is still in /run.
"""

from __future__ import annotations

import json
import os
import re

from . import lock, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

    from .events import Event
    from .paths import Paths

KEEP_RUNS = 50
# shorter values would blot out ordinary words
SHORTEST_SECRET = 4
# what looks the same however it is written
PLAIN = re.compile(r"[A-Za-z0-9_.~-]*\Z")
# DATABASE_URL=postgresql://shop:PASSWORD@db/shop
URL_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#:@]*:([^/?#@]+)@")


class Redact:
    """Replaces secret values."""

    def __init__(self, secrets: Sequence[str]) -> None:
        texts = {text for secret in secrets for text in (secret, *secret.splitlines())}
        parts = {part for text in texts for part in written_forms(text)}
        usable = sorted((p for p in parts if len(p) >= SHORTEST_SECRET), key=len, reverse=True)
        self._parts = usable
        self._values = [json.dumps(part)[1:-1].encode() for part in usable]

    def __call__(self, line: bytes) -> bytes:
        """A line of JSON with *** in place of what is secret."""
        for value in self._values:
            line = line.replace(value, b"***")
        return line

    def text(self, text: str) -> str:
        """A text with *** in place of what is secret."""
        for part in self._parts:
            text = text.replace(part, "***")
        return text


def written_forms(secret: str) -> list[str]:
    """A secret as programs print it: as it is, in Python's and JSON's words, in a URL; and the password of a URL."""
    forms = [secret]
    found = URL_PASSWORD.match(secret)
    if found:
        forms += written_forms(found.group(1))
    if "%" in secret or not PLAIN.match(secret):
        from urllib.parse import quote, unquote

        forms += [repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe=""), unquote(secret)]
    return forms


class Journal:
    """Appends events of one run."""

    def __init__(self, paths: Paths, run: str, secrets: Sequence[str]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._redact = Redact(secrets)
        self._live = os.open(paths.journal(run), flags, 0o600)
        self._kept: Optional[int] = None
        try:
            self._kept = os.open(paths.kept_journal(run), flags, 0o600)
        except OSError:
            pass

    def emit(self, event: Event) -> None:
        """Write an event to both places."""
        line = self._redact(wire.line(event.to_wire()))
        for handle in (self._live, self._kept):
            if handle is None:
                continue
            try:
                os.write(handle, line)
            except OSError:
                pass


def prune(paths: Paths, keep: int = KEEP_RUNS) -> None:
    """Forget all but the newest runs; never one that is going on."""
    holder = (lock.holder(paths) or {}).get("run", "")
    # in memory a run has a journal and a few small files beside it
    for folder, limit in ((paths.kept, keep), (paths.live, 5 * keep)):
        try:
            found = [
                os.path.join(folder, name) for name in os.listdir(folder) if name.split(".")[0] != holder
            ]
            for path in sorted(found, key=os.path.getmtime, reverse=True)[limit:]:
                os.unlink(path)
        except OSError:
            continue
