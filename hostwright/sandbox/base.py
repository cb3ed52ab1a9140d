"""The base system of a release: built once with mmdebstrap, kept for every sandbox server on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..errors import SandboxError
from . import sources as apt
from .command import run
from .locks import locked
from .surroundings import Surroundings, survey

CACHE = Path("/var/cache/hostwright/sandbox")
BUILD_TIMEOUT = 900
# What the smallest cloud images have in common; no pip, no venv, no git, no web server.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "libpam-systemd", "openssh-server", "sudo", "python3"),
    *("ca-certificates", "curl", "cron", "rsyslog", "logrotate", "iproute2", "netbase", "procps", "less"),
)
RECIPE = 1  # raise it when what is built below changes
SSHD = """\
# as cloud images have it
PasswordAuthentication no
KbdInteractiveAuthentication no
"""
SUDOERS = "ubuntu ALL=(ALL) NOPASSWD:ALL\n"
FOLDER_MODE = 0o700  # root's files, among them old setuid programs: for root alone


def machine_release(file: Path = Path("/etc/os-release")) -> tuple[str, str]:
    """Distribution and code name of this machine, e.g. `("debian", "bookworm")` (empty when unknown)."""
    try:
        text = file.read_text()
    except FileNotFoundError:
        return "", ""
    pairs = (line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    fields = {name: value.strip().strip('"') for name, value in pairs}
    return fields.get("ID", ""), fields.get("VERSION_CODENAME", "")


def key(suite: str, sources: str, surroundings: Surroundings) -> str:
    """What a base is kept under: it changes when anything that goes into it does."""
    ingredients = [RECIPE, PACKAGES, SSHD, SUDOERS, sources, surroundings.certificates, surroundings.files()]
    digest = hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()
    return f"{suite}-{digest[:12]}"


def ensure_base(suite: str, say: Callable[[str], None], in_use: Callable[[], Iterable[str]]) -> Path:
    """The folder with the base system of `suite`, built when there is none.

    Args:
        suite: code name of a release of this machine's distribution.
        say: told what takes long.
        in_use: names of the bases that servers rest on; others of this suite are removed after a build.

    Raises:
        SandboxError: it cannot be built; the last lines of mmdebstrap are the evidence.
    """
    distribution, codename = machine_release()
    chosen = apt.retarget(apt.read_machine(codename), suite)
    surroundings = survey(os.environ, Path.home())
    name = key(suite, apt.render(chosen), surroundings)
    CACHE.mkdir(parents=True, exist_ok=True)
    CACHE.chmod(FOLDER_MODE)
    with locked(CACHE / f"{suite}.lock"):
        ready = CACHE / name
        if not ready.exists():
            for stale in CACHE.glob(f".building-{suite}-*"):
                shutil.rmtree(stale)
            aside = CACHE / f".building-{name}"
            say(f"building a base system, {distribution} {suite}: about half a minute, once")
            _build(aside, suite, chosen, surroundings, distribution)
            run("sync", "--file-system", str(aside))  # what is trusted later must be on the disk first
            aside.rename(ready)
            _prune(suite, {name, *in_use()})
        os.utime(ready)
        return ready


def _prune(suite: str, keep: set[str]) -> None:
    """Removes bases no server lies over and nobody asked for in a day: another checkout may be about to."""
    for folder in CACHE.glob(f"{suite}-*"):
        if folder.name not in keep and folder.stat().st_mtime < time.time() - 86400:
            shutil.rmtree(folder, ignore_errors=True)


def _build(
    tree: Path, suite: str, chosen: Sequence[apt.Source], surroundings: Surroundings, distribution: str
) -> None:
    listing = tree.with_name(f".building-{suite}.sources")
    listing.write_text(apt.render(chosen))
    options = [f"--aptopt={line}" for line in surroundings.apt_lines()]
    try:
        run(
            *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory"),
            *(f"--include={','.join(PACKAGES)}", *options, suite, str(tree), str(listing)),
            timeout=BUILD_TIMEOUT,
        )
        _finish(tree, chosen, surroundings, distribution)
    except SandboxError as error:
        shutil.rmtree(tree, ignore_errors=True)
        raise SandboxError(
            f"could not build a base system of {distribution} {suite}",
            evidence=error.evidence,
            hint=f"A suite is the code name of a {distribution} release that this machine's mirror has.",
        ) from error
    except BaseException:
        shutil.rmtree(tree, ignore_errors=True)
        raise
    finally:
        listing.unlink()


def _finish(tree: Path, chosen: Sequence[apt.Source], surroundings: Surroundings, distribution: str) -> None:
    """Turns what mmdebstrap made into what a cloud image is."""
    _apt_files(tree, chosen, distribution)
    for name, text in surroundings.certificates:
        (tree / "usr/local/share/ca-certificates" / name).write_text(text)
    for path, text in surroundings.files().items():
        write(tree, path, text)
    write(tree, "/etc/ssh/sshd_config.d/50-cloud-init.conf", SSHD, mode=0o600)
    write(tree, "/etc/sudoers.d/90-cloud-init-users", SUDOERS, mode=0o440)
    in_tree = ("chroot", str(tree))
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    groups = "adm,cdrom,sudo,dip,plugdev"
    user = ("useradd", "--create-home", "--uid=1000", "--shell=/bin/bash", f"--groups={groups}", "ubuntu")
    for argv in (
        ("update-ca-certificates",),
        user,
        ("systemctl", "enable", "systemd-networkd.service"),
    ):
        run(*in_tree, *argv, env=environment)
    for secret in (tree / "etc/ssh").glob("ssh_host_*"):
        secret.unlink()
    for leftover in ("etc/hostname", "etc/resolv.conf"):
        (tree / leftover).unlink(missing_ok=True)
    (tree / "etc/machine-id").write_text("")


def _apt_files(tree: Path, chosen: Sequence[apt.Source], distribution: str) -> None:
    for given in (tree / "etc/apt/sources.list", *(tree / "etc/apt/sources.list.d").iterdir()):
        given.unlink(missing_ok=True)
    write(tree, f"/etc/apt/sources.list.d/{distribution}.sources", apt.render(chosen))
    (tree / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)  # 80machine has the same
    for keyring in (*apt.keyrings(chosen), *Path("/etc/apt/trusted.gpg.d").glob("*-archive-*")):
        inside = tree / str(keyring).lstrip("/")
        if not inside.exists():
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(keyring, inside)
    lists = tree / "var/lib/apt/lists"
    shutil.rmtree(lists, ignore_errors=True)
    (lists / "partial").mkdir(parents=True)


def write(tree: Path, path: str, text: str, mode: int = 0o644) -> None:
    """Writes a file of the system under `tree`, with the folders above it. Follows no link out of it."""
    target = tree / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    if tree.resolve() not in target.resolve().parents:
        raise SandboxError(f"{path} leads out of the server's file system")
    target.write_text(text)
    target.chmod(mode)
