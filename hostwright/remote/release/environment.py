"""Environment files as systemd reads them: EnvironmentFile= of systemd.exec(5). Used by both sides."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# what a backslash takes the meaning of between double quotes; before anything else it would stay
SPECIAL = re.compile(r'["\\`$]')


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
