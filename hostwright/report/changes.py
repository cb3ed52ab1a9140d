"""The changes of a resource in a few words: what kind of change it is, and which attributes differ. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Change = Mapping[str, Any]
# attributes that say whether the thing is there, not how it is
_EXISTENCE = ("type", "exists", "key")
# attributes whose values mean nothing to people: digests of contents
_OPAQUE = ("content", "type", "exists", "key")
# kinds that are deeds rather than things: they are done, not created
_DEEDS = ("upgrade", "command")
# ... and those of the files that belong to one
_PART = "content of "
LONGEST_VALUE = 60
PACKAGES_NAMED = 3

CREATED, CHANGED, REMOVED = "+", "~", "-"


def mark(kind: str, changes: Sequence[Change]) -> str:
    """`+` it was not there, `-` it is no longer there, `~` it is another."""
    if kind in _DEEDS or not changes:
        return CHANGED
    there = [change for change in changes if change["attribute"] in _EXISTENCE]
    counted = there or [change for change in changes if not str(change["attribute"]).startswith(_PART)]
    if not counted:
        return CHANGED
    if all(_absent(change["before"]) for change in counted):
        return CREATED
    # a service that is stopped is still there
    if all(change["after"] is None or (there and change["after"] is False) for change in counted):
        return REMOVED
    return CHANGED


def describe(kind: str, changes: Sequence[Change], would: bool = False) -> str:
    """What is worth knowing, in a few words.

    Args:
        kind: of the resource, as in its id.
        changes: attribute, before, after.
        would: in a check.
    """
    if kind == "packages":
        return _packages(changes, would)
    if kind in _DEEDS:
        return ""
    what = mark(kind, changes)
    if what == REMOVED:
        return ""
    shown = [change for change in changes if what == CHANGED or not _opaque(str(change["attribute"]))]
    words = [_created(change) if what == CREATED else _changed(change) for change in _owner_first(shown)]
    # `timezone Etc/UTC`: the attribute need not repeat what the thing is
    return ", ".join(word.removeprefix(f"{kind} ") for word in words if word)


def _packages(changes: Sequence[Change], would: bool) -> str:
    names = [str(change["attribute"]) for change in changes]
    if len(names) <= PACKAGES_NAMED:
        return " ".join(names)
    more = "to install" if would else "installed"
    return f"{' '.join(names[:PACKAGES_NAMED])} ... ({len(names)} {more})"


def _owner_first(changes: Sequence[Change]) -> list[Change]:
    """Owner and group as one attribute, as chown(1) writes them."""
    by_name = {change["attribute"]: change for change in changes}
    if not {"owner", "group"} <= set(by_name):
        return list(changes)
    owner, group = by_name["owner"], by_name["group"]
    before, after = _pair(owner, group, "before"), _pair(owner, group, "after")
    both = {"attribute": "owner", "before": before, "after": after}
    return [both if c["attribute"] == "owner" else c for c in changes if c["attribute"] != "group"]


def _pair(owner: Change, group: Change, side: str) -> str | None:
    if owner[side] is None:
        return None
    return str(owner[side]) if owner[side] == group[side] else f"{owner[side]}:{group[side]}"


def _created(change: Change) -> str:
    """An attribute of something new: its value, with its name where the value alone says nothing."""
    name, after = str(change["attribute"]), change["after"]
    if _absent(after) or after in ([], ()):
        return ""
    if after is True:
        return name
    if name in ("mode", "owner"):
        return value(after)
    if name == "target":
        return f"-> {value(after)}"
    return f"{name} {value(after)}"


def _changed(change: Change) -> str:
    name, before, after = str(change["attribute"]), change["before"], change["after"]
    if name == "content" or name.startswith(_PART):
        return name.removeprefix(_PART)
    if isinstance(after, (list, tuple)) and isinstance(before, (list, tuple, type(None))):
        old = before or ()
        added = [f"+{value(item)}" for item in after if item not in old]
        removed = [f"-{value(item)}" for item in old if item not in after]
        return f"{name} {' '.join(added + removed) or 'in another order'}"
    return f"{name} {value(before)} -> {value(after)}"


def value(found: object) -> str:
    """A value of an attribute, short."""
    if found is None:
        return "none"
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, (list, tuple)):
        return " ".join(value(item) for item in found) or "none"
    text = str(found) if str(found) else '""'
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def _opaque(name: str) -> bool:
    return name in _OPAQUE or name.startswith(_PART)


def _absent(found: object) -> bool:
    return found is None or found is False
