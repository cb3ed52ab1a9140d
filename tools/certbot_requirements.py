"""Makes hostwright/recipes/certbot.txt: certbot and what it needs, pinned, by hash. Run it to take a newer certbot.

    python tools/certbot_requirements.py 5.8.0     needs uv on the PATH, or in $UV

The file travels in every request, so it holds no hash that no server could use: of each package one wheel for every
Python from 3.10 (Ubuntu 22.04) to 3.14, on x86_64 and aarch64. A pure wheel comes first, then one for the stable ABI.
uv alone knows the wheels behind the hashes it writes, so it is asked for a pylock.toml (PEP 751).
tests/unit/tls/test_certbot_recipe.py checks what came out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomllib
from packaging.markers import Marker

TARGET = Path(__file__).parents[1] / "hostwright/recipes/certbot.txt"
MINORS = (10, 11, 12, 13, 14)
MACHINES = ("x86_64", "aarch64")
# glibc of the oldest server that has such a Python: Ubuntu 22.04 has 2.35
GLIBC = 35


def compile_lock(version: str, folder: Path) -> dict[str, Any]:
    """The pylock.toml of one version of certbot."""
    (folder / "certbot.in").write_text(f"certbot=={version}\nacme=={version}\n")
    argv = (
        os.environ.get("UV", "uv"), "pip", "compile", "certbot.in", "--quiet", "--universal",
        f"--python-version=3.{MINORS[0]}", "--fork-strategy=fewest", "--only-binary=:all:", "--generate-hashes",
        "--format=pylock.toml", "--output-file=pylock.toml",
    )  # fmt: skip
    subprocess.run(argv, cwd=folder, check=True)
    return tomllib.loads((folder / "pylock.toml").read_text())


def applies(package: Mapping[str, Any], minor: int) -> bool:
    """Does a server with this Python need the package?"""
    if "marker" not in package:
        return True
    return Marker(package["marker"]).evaluate(
        {
            "python_version": f"3.{minor}",
            "python_full_version": f"3.{minor}.1",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "sys_platform": "linux",
            "os_name": "posix",
            "platform_system": "Linux",
        }
    )


def marker(minors: Iterable[int]) -> str:
    """The shortest marker for these Pythons.

    Raises:
        ValueError: they have a gap.
    """
    found = tuple(minors)
    if found == MINORS:
        return ""
    if found == MINORS[: len(found)]:
        return f' ; python_version < "3.{found[-1] + 1}"'
    if found == MINORS[-len(found) :]:
        return f' ; python_version >= "3.{found[0]}"'
    raise ValueError(f"needed by the Pythons 3.{found}: write a marker for that")


def fitness(wheel: str, minor: int, machine: str) -> tuple[int, int] | None:
    """How good a wheel is for a server; smaller is better, None where it cannot be used there."""
    python, abi, platform = wheel.removesuffix(".whl").rsplit("-", 3)[1:]
    if abi == "none" and platform == "any":
        return (0, 0) if "py3" in python.split(".") else None
    glibc = [int(found) for found in re.findall(rf"manylinux_2_(\d+)_{machine}", platform)]
    if not glibc or min(glibc) > GLIBC:
        return None
    if python == abi == f"cp3{minor}":
        return (2, min(glibc))
    stable = re.fullmatch(r"cp3(\d+)", python)
    if abi == "abi3" and stable and int(stable[1]) <= minor:
        return (1, min(glibc))
    return None


def hashes(package: Mapping[str, Any], minors: Iterable[int]) -> list[str]:
    """One wheel for each kind of server.

    Raises:
        ValueError: there is none for one of them.
    """
    chosen: dict[str, str] = {}
    for minor in minors:
        for machine in MACHINES:
            usable = [
                (fit, wheel["url"].rsplit("/", 1)[1], wheel["hashes"]["sha256"])
                for wheel in package["wheels"]
                if (fit := fitness(wheel["url"].rsplit("/", 1)[1], minor, machine))
            ]
            if not usable:
                raise ValueError(f"{package['name']} has no wheel for Python 3.{minor} on {machine}")
            # of equals the one that is there already: fewer hashes
            best = min(fit for fit, _, _ in usable)
            fits = [(name not in chosen, name, digest) for fit, name, digest in usable if fit[0] == best[0]]
            _, name, digest = min(fits)
            chosen[name] = digest
    return list(chosen.values())


def main(version: str) -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as folder:
        lock = compile_lock(version, Path(folder))
    lines = []
    for package in lock["packages"]:
        minors = [minor for minor in MINORS if applies(package, minor)]
        if minors:
            digests = " ".join(f"--hash=sha256:{digest}" for digest in hashes(package, minors))
            lines.append(f"{package['name']}=={package['version']}{marker(minors)} {digests}\n")
    TARGET.write_text("".join(lines))


if __name__ == "__main__":
    main(sys.argv[1])
