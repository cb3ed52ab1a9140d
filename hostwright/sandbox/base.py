"""The base system of a release: built once with mmdebstrap, kept for every sandbox server on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
    recipe = Recipe.here(suite)
    text = f"building a base system, {recipe.distribution} {suite}: about half a minute, once"
    return kept(suite, recipe.key(), recipe.build, lambda: say(text), in_use)


def kept(
    group: str,
    name: str,
    build: Callable[[Path], None],
    announce: Callable[[], None],
    in_use: Callable[[], Iterable[str]],
) -> Path:
    """The folder `name` of the cache, built when there is none; by one process, whoever else asks.

    Args:
        group: what names of such folders begin with; old ones of the group are removed after a build.
        name: what it is kept under: it changes when anything that goes into it does.
        build: makes the folder it is given, or leaves none.
        announce: called before a build.
        in_use: names of the folders of the cache that servers rest on.

    Raises:
        SandboxError: of `build`.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    CACHE.chmod(FOLDER_MODE)
    with locked(CACHE / f"{group}.lock"):
        ready = CACHE / name
        if not ready.exists():
            for stale in CACHE.glob(f".building-{group}-*"):
                shutil.rmtree(stale)
            aside = CACHE / f".building-{name}"
            announce()
            build(aside)
            run("sync", "--file-system", str(aside))  # what is trusted later must be on the disk first
            aside.rename(ready)
            _prune(group, {name, *in_use()})
        os.utime(ready)
        return ready


def _prune(group: str, keep: set[str]) -> None:
    """Removes bases no server lies over and nobody asked for in a day: another checkout may be about to."""
    for folder in CACHE.glob(f"{group}-*"):
        if folder.name not in keep and folder.stat().st_mtime < time.time() - 86400:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Recipe:
    """What a base system is made of.

    Attributes:
        suite: code name of the release.
        distribution: `ID` of os-release(5).
        sources: where its packages come from.
        surroundings: how this machine reaches the world.
        packages: what is installed.
    """

    suite: str
    distribution: str
    sources: tuple[apt.Source, ...]
    surroundings: Surroundings
    packages: tuple[str, ...] = PACKAGES

    @classmethod
    def here(cls, suite: str) -> Recipe:
        """With this machine's sources and surroundings."""
        distribution, codename = machine_release()
        chosen = tuple(apt.retarget(apt.read_machine(codename), suite))
        return cls(suite, distribution, chosen, survey(os.environ, Path.home()))

    def key(self) -> str:
        """What the base of a container is kept under."""
        return key(self.suite, apt.render(self.sources), self.surroundings)

    def build(self, tree: Path) -> None:
        """Makes the file system at `tree`; leaves nothing when that fails."""
        _build(tree, self)


def _build(tree: Path, recipe: Recipe) -> None:
    suite, chosen, surroundings = recipe.suite, recipe.sources, recipe.surroundings
    distribution = recipe.distribution
    listing = tree.with_name(f".building-{suite}.sources")
    listing.write_text(apt.render(chosen))
    options = [f"--aptopt={line}" for line in surroundings.apt_lines()]
    try:
        run(
            *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory"),
            *(f"--include={','.join(recipe.packages)}", *options, suite, str(tree), str(listing)),
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
