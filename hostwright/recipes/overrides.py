"""A project's own templates in place of ours: which they are, and whether ours have changed since.

The first line of an override names the version of ours that it was made from: {# original: 0123456789ab #}.
`inv template.eject` writes it; it renders to nothing. Without that line nothing can be said, and nothing is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path

from hostwright.errors import UsageError
from hostwright.inventory.nearest import did_you_mean

FOLDER = "templates"
MARK = re.compile(r"\{#-?\s*original:\s*([0-9a-f]{12})\s*-?#\}\n?")


@dataclass(frozen=True)
class Override:
    """A template of the project that is used instead of ours.

    Attributes:
        name: such as `nginx/site.conf.j2`.
        made_from: the version of ours that its first line names; empty when it names none.
        current: the version of ours today.
    """

    name: str
    made_from: str
    current: str

    @property
    def outdated(self) -> bool:
        """Has ours changed since the override was made from it?"""
        return self.made_from not in ("", self.current)


def version(text: str) -> str:
    """A short name for the text of a template."""
    return sha256(text.encode()).hexdigest()[:12]


def mark(version: str) -> str:
    """The first line of an override that was made from this version of ours."""
    return f"{{# original: {version} #}}"


def names(ours: Path) -> list[str]:
    """Our templates, by name.

    Args:
        ours: `render.templates()`.
    """
    return sorted(path.relative_to(ours).as_posix() for path in ours.rglob("*.j2"))


def original(ours: Path, name: str) -> str:
    """The text of a template of ours.

    Raises:
        UsageError: there is none of that name.
    """
    known = names(ours)
    if name not in known:
        raise UsageError(
            f"there is no template {name}.{did_you_mean(name, known)}",
            hint="`inv template.list` lists them.",
        )
    return read(ours / name)


def overrides(project: Path, ours: Path) -> list[Override]:
    """The project's templates that are used instead of ours; none in Hostwright's own repository.

    Args:
        project: the folder that holds inventory.yaml.
        ours: `render.templates()`.
    """
    if _is_ours(project, ours):
        return []
    own = project / FOLDER
    return [
        Override(name, made_from(read(own / name)), version(read(ours / name)))
        for name in names(ours)
        if (own / name).is_file()
    ]


def _is_ours(project: Path, ours: Path) -> bool:
    own = project / FOLDER
    return own.is_dir() and own.samefile(ours)


def made_from(text: str) -> str:
    """The version of ours that the first line of an override names, or the empty string."""
    found = MARK.match(text)
    return found[1] if found else ""


def ejected(project: Path, ours: Path, name: str) -> tuple[Path, str]:
    """Where the project's copy of a template of ours goes, and its text. Nothing is written.

    Raises:
        UsageError: there is no such template, the project has its own already, or it is Hostwright itself.
    """
    text = original(ours, name)
    path = project / FOLDER / name
    if _is_ours(project, ours):
        raise UsageError(f"{FOLDER}/{name} is the original; there is nothing to override here")
    if path.exists():
        raise UsageError(
            f"{FOLDER}/{name} is there already", hint=f"How it differs from ours: inv template.diff {name}"
        )
    return path, f"{mark(version(text))}\n{text}"


def override(project: Path, ours: Path, name: str) -> Override:
    """The project's own template of a name.

    Raises:
        UsageError: there is no such template, or the project has none of its own.
    """
    original(ours, name)
    for found in overrides(project, ours):
        if found.name == name:
            return found
    raise UsageError(
        f"this project has no {FOLDER}/{name} of its own", hint=f"Make one: inv template.eject {name}"
    )


def difference(project: Path, ours: Path, name: str) -> list[str]:
    """Unified diff from a template of ours, as it is today, to the project's; the first line does not count."""
    own = MARK.sub("", read(project / FOLDER / name), count=1)
    before, after = read(ours / name).splitlines(), own.splitlines()
    return list(unified_diff(before, after, f"hostwright/{name}", f"{FOLDER}/{name}", lineterm=""))


def read(path: Path) -> str:
    """The text of a template.

    Raises:
        UsageError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
