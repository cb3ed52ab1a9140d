"""What an app wrote when its sandbox forbade something, as seen on Debian 12 and 13, and what is said about it."""

from __future__ import annotations

import json

import pytest

from hostwright.inventory import App
from hostwright.recipes.sandbox import release_sandbox
from hostwright.remote.release.symptoms import heard


def settings(**sandbox: object) -> str:
    app = App.model_validate_json(json.dumps({"name": "shop", "module": "a:b", "sandbox": sandbox}))
    return "[Service]\n" + "".join(f"{line}\n" for line in release_sandbox(app))


DEFAULT = settings()
EPERM = "PermissionError: [Errno 1] Operation not permitted"
EROFS = "OSError: [Errno 30] Read-only file system"
EACCES = "PermissionError: [Errno 13] Permission denied"
JIT = "MemoryDenyWriteExecute forbids: `sandbox: {jit: true}`"
OTHER_PLACES = "The app may write below /var/lib/shop (its HOME)"


@pytest.mark.parametrize(
    ("written", "what"),
    [
        # numba on Debian 12 and 13
        ("PermissionError: [Errno 1] cannot allocate executable memory. This may be due to security", JIT),
        ("PermissionError: [Errno 13] cannot allocate executable memory. This may be due to security", JIT),
        ("MemoryError: Cannot allocate write+execute memory for ffi.callback(). You might be running on", JIT),
        (f"    mmap.mmap(-1, 4096, prot=7)\n{EPERM}", JIT),
        (f"    mmap.mmap(-1, 4096, prot=7)\n    ~~~~~~~~~^^^^^^^\n{EACCES}", JIT),
        ("# Fatal javascript OOM in MemoryChunk allocation failed during deserialization.", JIT),
        ("# Fatal error in , line 0\n# Check failed: 12 == (*__errno_location ()).", JIT),
        ("trying to allocate some memory for the JIT (tried to do mmap() with PROT_EXEC|PROT_READ|PROT_WRITE)", JIT),
        ("PANIC: unprotected error in call to Lua API (runtime code generation failed, restricted kernel?)", JIT),
        ("OSError: [Errno 97] Address family not supported by protocol", "relax: [RestrictAddressFamilies]"),
        ('sudo: The "no new privileges" flag is set, which prevents sudo from running as root.', "NoNewPrivileges"),
        ("CalledProcessError: Command 'sudo -n true' returned non-zero exit status 1.", "NoNewPrivileges"),
        ("unshare: unshare failed: Operation not permitted", "relax: [RestrictNamespaces]"),
        (f"    os.unshare(os.CLONE_NEWUSER)\n{EPERM}", "RestrictNamespaces"),
        (f"    os.chmod(p, 0o4755)\n{EPERM}: '/tmp/f'", "RestrictSUIDSGID"),
        ("/usr/bin/nice: cannot set niceness: Operation not permitted", "SystemCallFilter"),
        (f"    os.nice(5)\n    ~~~~~~~^^^\n{EPERM}", "SystemCallFilter"),
        ("taskset: failed to set pid 3498's affinity: Operation not permitted", "SystemCallFilter"),
        ("chrt: failed to set pid 0's policy: Operation not permitted", "RestrictRealtime"),
        ("ionice: ioprio_set failed: Operation not permitted", "SystemCallFilter"),
        (f"    os.chown('/tmp/f', 9, 9)\n{EPERM}: '/tmp/f'", "SystemCallFilter"),
        (f"    s = socket.socket(AF_INET, SOCK_RAW, 1)\n{EPERM}", "rights of root"),
        ("/usr/bin/ping: cap_set_proc: Operation not permitted", "rights of root"),
        (f"    os.setuid(33)\n{EPERM}", "rights of root"),
        ("[ERROR] Worker (pid:812) was sent SIGSYS!", "relax: [SystemCallFilter]"),
        (f"{EACCES}: '/home/ann/.cache'", "ProtectHome hides /home"),
        (f"{EACCES}: '/etc/letsencrypt'", "InaccessiblePaths hides /etc/letsencrypt"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/dev/ttyUSB0'", "{devices: [/dev/ttyUSB0]}`"),
        (f"{EPERM}: '/dev/fuse'", "`sandbox: {devices: [/dev/fuse]}`"),
        (f"{EROFS}: '/data/cache/x'", "`sandbox: {writable: [/data/cache]}`"),
        (f"{EROFS}: 'x.txt'", OTHER_PLACES),
        (f"{EROFS}: '/srv/shop/trees/k/x.txt'", OTHER_PLACES),
        (f"{EROFS}: '/proc/sys/vm/swappiness'", "ProtectKernelTunables"),
        ("sqlite3.OperationalError: unable to open database file", OTHER_PLACES),
        (f"{EACCES}: '/mnt/x'", OTHER_PLACES),
        (f"    s.bind(('0.0.0.0', 80))\n{EACCES}", "must not listen itself"),
        (
            "a@r.service: Failed to set up mount namespacing: /run/systemd/unit-root/data: No such file or directory\n"
            "shop@r.service: Failed at step NAMESPACE spawning /srv/shop: No such file or directory",
            "sudo install -d -o shop -g shop /data",
        ),
        ("shop@r.service: Failed at step CREDENTIALS spawning /srv/shop: Protocol error", "`secrets: env`"),
        # the last one counts
        (f"{EROFS}: '/a/x'\n{EROFS}: '/b/x'", "[/b]"),
    ],
)  # fmt: skip
def test_the_setting_is_named(written: str, what: str) -> None:
    told = heard("shop", ["Traceback (most recent call last):", *written.splitlines()], DEFAULT)
    assert what in told


@pytest.mark.parametrize(
    "written",
    [
        "OSError: [Errno 101] Network is unreachable",
        "httpx.ConnectError: [Errno -3] Temporary failure in name resolution",
        "OSError: Multiple exceptions: [Errno 111] Connect call failed ('127.0.0.1', 5432)",
    ],
)
def test_only_an_app_without_network_is_told_so(written: str) -> None:
    assert "`sandbox: {network: false}`" in heard("shop", [written], settings(network=False))
    assert heard("shop", [written], DEFAULT) == ""


@pytest.mark.parametrize(
    ("written", "relaxed"),
    [
        ("PermissionError: [Errno 1] cannot allocate executable memory.", {"jit": True}),
        (
            "unshare: unshare failed: Operation not permitted",
            {"relax": ["RestrictNamespaces", "SystemCallFilter"]},
        ),
        (
            "OSError: [Errno 97] Address family not supported by protocol",
            {"relax": ["RestrictAddressFamilies"]},
        ),
    ],
)
def test_what_is_allowed_is_not_to_blame(written: str, relaxed: dict[str, object]) -> None:
    assert "MemoryDenyWriteExecute" not in heard("shop", [written], settings(**relaxed))
    for name in ("RestrictNamespaces", "RestrictAddressFamilies"):
        assert name not in heard("shop", [written], settings(**relaxed))


@pytest.mark.parametrize(
    ("path", "name"), [("/home/ann/x", "ProtectHome"), ("/etc/ssh", "InaccessiblePaths")]
)
def test_what_is_no_longer_hidden_is_not_to_blame(path: str, name: str) -> None:
    written = [f"PermissionError: [Errno 13] Permission denied: '{path}'"]
    assert name in heard("shop", written, DEFAULT)
    assert name not in heard("shop", written, settings(relax=[name]))


def test_a_device_that_is_allowed_needs_its_group() -> None:
    told = heard(
        "shop",
        ["PermissionError: [Errno 13] Permission denied: '/dev/ttyUSB0'"],
        settings(devices=["/dev/ttyUSB0"]),
    )
    assert told.endswith("sudo usermod -aG $(stat -c %G /dev/ttyUSB0) shop, then inv restart")


@pytest.mark.parametrize(
    "written",
    [
        "FileNotFoundError: [Errno 2] No such file or directory: '/data/config.toml'",
        "RuntimeError: boom",
        "ConnectionRefusedError: [Errno 111] Connection refused",
    ],
)
def test_nothing_is_guessed(written: str) -> None:
    assert heard("shop", [written], DEFAULT) == ""
