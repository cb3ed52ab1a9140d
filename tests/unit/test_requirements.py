"""The compiled requirements: pinned, hashed, naming no place, in step with what they were compiled from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
COMPILED = (ROOT / "requirements.txt", ROOT / "app/requirements.txt")
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;\\]+)(?P<marker>[^\\]*)\\$", re.MULTILINE)


def pins(path: Path) -> dict[str, set[str]]:
    """Name -> versions; a package may have one version for each Python."""
    found: dict[str, set[str]] = {}
    for match in PIN.finditer(path.read_text()):
        found.setdefault(match["name"], set()).add(match["version"])
    return found


def ranges(path: Path) -> list[Requirement]:
    lines = (line.partition(" #")[0].strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_is_pinned_and_hashed_and_comes_from_nowhere_in_particular(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text, "an index or a file of the machine it was compiled on"
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    assert len(entries) > 10
    for entry in entries:
        assert PIN.match(entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_was_compiled_from_the_ranges_of_today(path: Path) -> None:
    compiled = pins(path)
    for wanted in ranges(path.with_suffix(".in")):
        versions = compiled.get(wanted.name.lower(), set())
        assert versions, f"{wanted.name} is missing: compile again"
        assert all(wanted.specifier.contains(version) for version in versions), wanted


def test_the_app_is_tested_in_the_versions_that_get_deployed() -> None:
    here, deployed = pins(COMPILED[0]), pins(COMPILED[1])
    assert {name: here.get(name) for name in deployed} == deployed


def test_the_package_asks_for_the_same_as_the_requirements() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block
    package = {str(Requirement(found)) for found in re.findall(r'"([^"]+)"', block[1])}
    assert package <= {str(wanted) for wanted in ranges(ROOT / "requirements.in")}
