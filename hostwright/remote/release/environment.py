"""Environment files as systemd reads them: EnvironmentFile= of systemd.exec(5). Used by both sides."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

    from .shelf import Shelf

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# what a backslash takes the meaning of between double quotes; before anything else it would stay
SPECIAL = re.compile(r'["\\`$]')
ESCAPED = re.compile(r'\\(["\\`$])')
LINE = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"\n', re.DOTALL)
# these say which release it is: they differ between any two
OURS = "HOSTWRIGHT_"


def environment_file(values: Mapping[str, str]) -> str:
    """A file that gives exactly these variables: quotes, `$`, `#`, backslashes and newlines stay what they are.

    Raises:
        ValueError: a name or a value that no environment can hold; the value is not shown.
    """
    lines = []
    for name, value in values.items():
        if not NAME.match(name):
            raise ValueError("not the name of an environment variable: %r" % name)
        if "\0" in value:
            raise ValueError("%s holds a NUL character, which no environment can" % name)
        lines.append('%s="%s"\n' % (name, SPECIAL.sub(r"\\\g<0>", value)))
    return "".join(lines)


def variables(text: str) -> dict[str, str]:
    """What a file of `environment_file` gives."""
    return {name: ESCAPED.sub(r"\1", value) for name, value in LINE.findall(text)}


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, str]:
    """name -> changed, new or gone. Ours, which name the release, are not compared."""
    found = {}
    for name in sorted({*before, *after}):
        if not name.startswith(OURS) and before.get(name) != after.get(name):
            found[name] = "new" if name not in before else "gone" if name not in after else "changed"
    return found


def between(shelf: Shelf, before: str, after: str) -> dict[str, str]:
    """The differences of two releases, secrets that are files among them."""
    return differences(*({**shelf.environment(one), **shelf.credentials(one)} for one in (before, after)))


def told(found: Mapping[str, str]) -> str:
    """Differences in one line; names only, a value may be a secret."""
    if not found:
        return "environment as it was"
    return "environment: " + ", ".join("%s %s" % item for item in found.items())


def kept(today: Mapping[str, str], target: Mapping[str, str]) -> dict[str, str]:
    """Today's variables for another release: what says which release it is stays the target's own."""
    own = {name: value for name, value in target.items() if name.startswith(OURS)}
    return {**{name: value for name, value in today.items() if not name.startswith(OURS)}, **own}
