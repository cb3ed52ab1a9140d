"""uv builds the apps' environments. One pinned version in an environment of its own, by hash."""

from __future__ import annotations

from hostwright.remote.resources.base import Resource
from hostwright.remote.resources.symlink import Symlink
from hostwright.remote.resources.virtual_environment import VirtualEnvironment
from hostwright.remote.store import WHEELS

VERSION = "0.13.8"
# sha256 of the wheels for glibc on the two architectures VPSes have (manylinux_2_17 x86_64, aarch64)
HASHES = (
    "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984",
    "0b3e8b1a4f5e405e31e2ff33de8af4744831e9f7338539671efbd8c3c94e791d",
)
HOME = "/opt/hostwright/uv"


def requirements() -> str:
    """A requirements file that accepts exactly these wheels."""
    return " \\\n    ".join([f"uv=={VERSION}", *(f"--hash=sha256:{digest}" for digest in HASHES)]) + "\n"


def uv() -> list[Resource]:
    """The environment and the name that does not change with the version."""
    return [
        VirtualEnvironment(name=f"{HOME}-{VERSION}", requirements=requirements(), wheels=WHEELS),
        Symlink(name=HOME, target=f"uv-{VERSION}"),
    ]
