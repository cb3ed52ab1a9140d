"""How a server is spoken of: its name, its ssh command, its cgroup, its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import hostwright.sandbox
from hostwright.errors import SandboxError
from hostwright.sandbox import Server, base
from hostwright.sandbox.cgroup import is_init, mount_point
from hostwright.sandbox.command import run
from hostwright.sandbox.disk import Disk
from hostwright.sandbox.locks import locked, try_lock
from hostwright.sandbox.login import ESCAPES
from hostwright.sandbox.model import check_name
from hostwright.sandbox.personality import known_hosts
from hostwright.sandbox.surroundings import Surroundings

SERVER = Server("web1", "10.213.0.2", "bookworm", True, Path("/c/identity"), Path("/c/known"), Path("/c/log"))


def test_the_public_names() -> None:
    assert hostwright.sandbox.__all__ == sorted(hostwright.sandbox.__all__)
    assert set(hostwright.sandbox.__all__) == {"DelayedPath", "Sandbox", "Server", "delayed_path", "ensure"}


def test_ssh_argv_quotes_for_the_remote_shell_and_trusts_only_the_servers_key() -> None:
    argv = SERVER.ssh_argv("echo", "a b", "$HOME", user="root")
    assert argv[-2:] == ("root@10.213.0.2", "echo 'a b' '$HOME'")
    assert {"UserKnownHostsFile=/c/known", "StrictHostKeyChecking=yes", "BatchMode=yes"} <= {*argv}
    assert SERVER.ssh_argv()[-1] == "ubuntu@10.213.0.2"


@pytest.mark.parametrize("name", ["web1", "a", "x-1-y", "a" * 40])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "1web", "Web", "a_b", "a.b", "a-", "-a", "a--b", "../x", "a" * 41, "a\n"]
)
def test_names_that_no_host_can_have(name: str) -> None:
    with pytest.raises(SandboxError) as caught:
        check_name(name)
    assert str(caught.value) == (
        f'"{name}" cannot name a server\n'
        "  Use up to 40 lower-case letters, digits and dashes, a letter first: web1"
    )


HYBRID = """\
31 24 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
40 31 0:36 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:37 / /sys/fs/cgroup/unified rw,relatime shared:7 master:2 - cgroup2 cgroup2 rw
"""


def test_the_cgroup_hierarchies_are_found() -> None:
    assert mount_point(HYBRID) == Path("/sys/fs/cgroup/unified")
    assert mount_point(HYBRID, "cgroup", "name=systemd") == Path("/sys/fs/cgroup/systemd")
    pure = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate"
    assert mount_point(pure) == Path("/sys/fs/cgroup")
    assert mount_point(pure, "cgroup", "name=systemd") is None


@pytest.mark.parametrize(
    ("status", "init"),
    [
        ("Name:\tsystemd\nNSpid:\t4711\t1\n", True),
        ("NSpid:\t4712\t23\n", False),
        ("NSpid:\t1\n", False),
        ("NSpid:\t4713\t90\t1\n", False),
        ("", False),
    ],
)
def test_the_servers_init_is_number_one_just_below_us(status: str, init: bool) -> None:
    assert is_init(status) is init


def test_a_base_is_kept_under_all_that_goes_into_it() -> None:
    plain = base.key("bookworm", "Types: deb\n", Surroundings())
    assert plain == base.key("bookworm", "Types: deb\n", Surroundings())
    assert plain.startswith("bookworm-")
    assert plain != base.key("bookworm", "Types: deb\n", Surroundings(certificates=(("a.crt", "x"),)))
    assert plain != base.key("bookworm", "Types: deb\nTrusted: yes\n", Surroundings())


def test_the_machines_release(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    assert base.machine_release(file) == ("", "")
    file.write_text('NAME="Ubuntu"\nID=ubuntu\nVERSION_CODENAME="noble"\n')
    assert base.machine_release(file) == ("ubuntu", "noble")


def test_a_file_of_a_server_is_never_written_outside_it(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    outside.mkdir()
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/resolv.conf").symlink_to(outside / "resolv.conf")
    (tree / "etc/linked").symlink_to(outside)

    base.write(tree, "/etc/resolv.conf", "text", mode=0o600)

    assert (tree / "etc/resolv.conf").read_text() == "text"
    assert (tree / "etc/resolv.conf").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SandboxError, match=r"^/etc/linked/x leads out of the server's file system$"):
        base.write(tree, "/etc/linked/x", "text")
    assert list(outside.iterdir()) == []


def test_known_hosts_lines(tmp_path: Path) -> None:
    (tmp_path / "ssh_host_ed25519_key.pub").write_text("ssh-ed25519 AAAA root@web1\n")
    (tmp_path / "ssh_host_ed25519_key").write_text("private")
    assert known_hosts(tmp_path, "10.213.0.2") == "10.213.0.2 ssh-ed25519 AAAA\n"


def test_console_lines_lose_their_colours() -> None:
    assert ESCAPES.sub("", "[\x1b[0;32m  OK  \x1b[0m] Started\x1b[?25h\r") == "[  OK  ] Started"


def test_a_disk_too_small_for_a_file_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"^a disk of 10 MiB is too small: 64 MiB at least$"):
        Disk(tmp_path / "disk", 10).make()


def test_a_lock_is_held_by_one_and_free_when_its_holder_is_gone(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        assert try_lock(tmp_path / "lock") is None
    held = try_lock(tmp_path / "lock")
    assert held is not None
    (tmp_path / "lock").unlink()
    successor = try_lock(tmp_path / "lock")
    assert successor is not None
    os.close(held)
    os.close(successor)


def test_a_lock_in_a_removed_folder_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        try_lock(tmp_path / "gone/lock")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (("no-such-program",), "no-such-program is not installed"),
        (("sleep", "9"), "sleep did not finish in 0.1 s\n  | sleep 9"),
        (
            ("sh", "-c", "echo why >&2; exit 3"),
            "sh failed with exit code 3\n  | sh -c echo why >&2; exit 3\n  | why",
        ),
    ],
)
def test_a_program_that_fails_shows_its_last_lines(argv: tuple[str, ...], text: str) -> None:
    with pytest.raises(SandboxError) as caught:
        run(*argv, timeout=0.1 if argv[0] == "sleep" else 10)
    assert str(caught.value) == text
