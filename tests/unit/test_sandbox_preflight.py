"""What is said where throw-away servers cannot run."""

from __future__ import annotations

import pytest

from hostwright.errors import SandboxError, SandboxUnavailable
from hostwright.sandbox import preflight
from hostwright.sandbox.preflight import PROGRAMS, Machine, ensure, is_capable, obstacle, packages

VM = "The same commands work on any Ubuntu or Debian VM: ./run provision --host USER@ADDRESS"
SUDO = "Run it with sudo (sudo ./run ...), or use any VM: ./run provision --host USER@ADDRESS"


@pytest.mark.parametrize(
    ("machine", "message", "hint"),
    [
        (Machine(platform="darwin"), "throw-away servers need Linux, and this is macOS", VM),
        (Machine(platform="win32"), "throw-away servers need Linux, and this is Windows", VM),
        (Machine(platform="freebsd14"), "throw-away servers need Linux, and this is freebsd14", VM),
        (
            Machine(distribution="fedora"),
            "throw-away servers are built with apt from a Debian or Ubuntu machine's own sources",
            VM,
        ),
        (
            Machine(apt=False, missing=("nft",)),
            "throw-away servers are built with apt from a Debian or Ubuntu machine's own sources",
            VM,
        ),
        (
            Machine(root=False),
            "throw-away servers need root: for mounts, a network and a cgroup of their own",
            SUDO,
        ),
        (
            Machine(capable=False),
            "throw-away servers need mounts and a network, and this container's root may have neither",
            "Start the container with --privileged, or use any VM: ./run provision --host USER@ADDRESS",
        ),
        (
            Machine(overlay=False),
            "this kernel has no overlayfs, on which throw-away servers are built",
            VM,
        ),
        (
            Machine(cgroup2=False),
            "this machine has no writable cgroup v2 hierarchy, and systemd in a server needs one",
            VM,
        ),
    ],
)
def test_obstacles(machine: Machine, message: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert obstacle(machine) == (message, hint)
    monkeypatch.setattr(preflight, "survey", lambda **_: machine)
    with pytest.raises(SandboxUnavailable) as caught:
        ensure(print)
    assert str(caught.value) == f"{message}\n  {hint}"


@pytest.mark.parametrize("machine", [Machine(), Machine(distribution="ubuntu"), Machine(missing=("nft",))])
def test_no_obstacle(machine: Machine) -> None:
    assert obstacle(machine) is None


@pytest.mark.parametrize(
    ("bounds", "capable"),
    [
        ("000001ffffffffff", True),
        ("00000000a80425fb", False),  # Docker's default
        ("0000000000200000", False),
        ("0000000000201000", True),
    ],
)
def test_what_roots_of_containers_may_do(bounds: str, capable: bool) -> None:
    assert is_capable(f"Name:\tx\nCapBnd:\t{bounds}\n") is capable


def test_each_package_is_installed_once() -> None:
    assert packages(("ssh", "ssh-keygen", "nft")) == ["nftables", "openssh-client"]
    assert "mmdebstrap" in packages(tuple(PROGRAMS))


def test_what_is_missing_is_installed_and_said_first(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    monkeypatch.setattr(preflight, "survey", lambda **_: Machine(missing=("nft", "mmdebstrap")))
    monkeypatch.setattr(preflight, "run", lambda *argv, **_: happened.append(" ".join(argv[:2])))
    ensure(happened.append)
    assert happened == [
        "installing mmdebstrap nftables: throw-away servers need nft, mmdebstrap",
        "apt-get update",
        "apt-get install",
    ]


def test_apt_that_fails_is_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: str, **__: object) -> None:
        raise SandboxError("apt-get failed", evidence=("E: Unable to locate package nftables",))

    monkeypatch.setattr(preflight, "survey", lambda **_: Machine(missing=("nft",)))
    monkeypatch.setattr(preflight, "run", fail)
    with pytest.raises(SandboxUnavailable) as caught:
        ensure(lambda _: None)
    assert str(caught.value) == (
        f"could not install nftables\n  | E: Unable to locate package nftables\n  {VM}"
    )
