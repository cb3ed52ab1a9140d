"""The machine's own apt sources as data, so that a sandbox server is fed from where the machine is.

Reads both styles of sources.list(5), keeps the distribution's own archive, and writes deb822. No mirror is
named anywhere: another release of the same distribution comes from the same one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import SandboxError

ALIASES = ("stable", "oldstable", "testing")
POCKETS = ("", "-updates", "-security")
ARCHIVE_KEYRING = re.compile(r"/(debian|ubuntu)-archive[^/]*$")
ONE_LINE = re.compile(
    r"^(?P<type>deb(?:-src)?)\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>\S.*)$"
)


@dataclass(frozen=True)
class Source:
    """One stanza: where packages come from.

    Attributes:
        uris, suites, components: as in sources.list(5).
        signed_by: path of the keyring, an embedded key, or empty for the trusted keys of the machine.
        options: other fields that change how it is read, e.g. `("Trusted", "yes")`.
    """

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""
    options: tuple[tuple[str, str], ...] = ()


KEPT_OPTIONS = ("Architectures", "Trusted", "Check-Valid-Until", "Check-Date")


def parse(name: str, text: str) -> list[Source]:
    """The binary package sources in a file called `name` (`*.sources` is deb822, else one line each)."""
    return _parse_deb822(text) if name.endswith(".sources") else _parse_one_line(text)


def _parse_deb822(text: str) -> list[Source]:
    found = []
    for stanza in re.split(r"\n\s*\n", "\n".join(line for line in text.splitlines() if line[:1] != "#")):
        fields: dict[str, str] = {}
        last = ""
        for line in stanza.splitlines():
            if line[:1].isspace() and last:
                fields[last] += "\n" + line.strip()
            elif ":" in line:
                last, value = line.split(":", 1)
                last = last.strip().lower()
                fields[last] = value.strip()
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0")
        if enabled and "deb" in fields.get("types", "").split():
            found.append(
                Source(
                    tuple(fields.get("uris", "").split()),
                    tuple(fields.get("suites", "").split()),
                    tuple(fields.get("components", "").split()),
                    fields.get("signed-by", ""),
                    tuple((key, fields[key.lower()]) for key in KEPT_OPTIONS if key.lower() in fields),
                )
            )
    return found


def _parse_one_line(text: str) -> list[Source]:
    names = {"arch": "Architectures", "trusted": "Trusted", "check-valid-until": "Check-Valid-Until"}
    found = []
    for line in text.splitlines():
        match = ONE_LINE.match(line.split("#")[0].strip())
        if match is None or match["type"] != "deb":
            continue
        given = dict(word.split("=", 1) for word in (match["options"] or "").split() if "=" in word)
        options = tuple((names[key], value.replace(",", " ")) for key, value in given.items() if key in names)
        suite, *components = match["rest"].split()
        found.append(
            Source((match["uri"],), (suite,), tuple(components), given.get("signed-by", ""), options)
        )
    return found


def archive(sources: Iterable[Source], codename: str) -> list[Source]:
    """The distribution's own archive among `sources`, as one suite per stanza with its usual pockets.

    Third parties are left out: they have suites of their own, no `main`, or sign with a key of their own.
    Backports and proposed updates are left out too, as a fresh cloud image has them off or pinned down.
    """
    wanted = {base + pocket for base in (codename, *ALIASES) for pocket in POCKETS}
    found = []
    for source in sources:
        suites = tuple(suite for suite in source.suites if suite.rstrip("/") in wanted)
        ours = not source.signed_by or ARCHIVE_KEYRING.search(source.signed_by)
        if suites and "main" in source.components and ours:
            found.append(replace(source, suites=suites))
    return found


def retarget(sources: Iterable[Source], suite: str) -> list[Source]:
    """The same sources for another release: `bookworm-updates` becomes `trixie-updates`."""

    def renamed(name: str) -> str:
        base, dash, pocket = name.partition("-")
        return suite + dash + pocket if base else name

    return [replace(source, suites=tuple(renamed(name) for name in source.suites)) for source in sources]


def render(sources: Sequence[Source]) -> str:
    """A deb822 sources file."""
    stanzas = []
    for source in sources:
        fields = [
            ("Types", "deb"),
            ("URIs", " ".join(source.uris)),
            ("Suites", " ".join(source.suites)),
            ("Components", " ".join(source.components)),
            *([("Signed-By", source.signed_by)] if source.signed_by else []),
            *source.options,
        ]
        stanzas.append("".join(f"{name}: {value}\n" for name, value in fields))
    return "\n".join(stanzas)


def keyrings(sources: Iterable[Source]) -> list[Path]:
    """The keyring files that `sources` name."""
    return sorted({Path(source.signed_by) for source in sources if source.signed_by.startswith("/")})


def read_machine(codename: str, root: Path = Path("/etc/apt")) -> list[Source]:
    """The archive this machine installs from.

    Raises:
        SandboxError: it names none.
    """
    files = [root / "sources.list", *sorted((root / "sources.list.d").glob("*"))]
    found: list[Source] = []
    for file in files:
        if file.suffix in (".list", ".sources") and file.is_file():
            found += archive(parse(file.name, file.read_text()), codename)
    if not found:
        raise SandboxError(
            f"{root} names no package source for {codename}",
            hint="A sandbox server is built from the machine's own sources. See sources.list(5).",
        )
    return found
