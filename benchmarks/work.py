"""Bare servers, a repository, a certificate and a key: what every peer is given, each its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path

from benchmarks.peers.peer import ROOT, Work
from hostwright.errors import SandboxError
from hostwright.sandbox import Sandbox, Server, ensure

REMOTE = "/srv/site.git"
ADMIN = "ann"
MARK = 'MARK = "{mark}"  # which commit answers, whoever deployed it: /version tells\n'
ANSWER = '"commit": release.commit}'


class Bench:
    """Makes works, and removes their servers at the end. `opened` is how one is made.

    Attributes:
        folder: of files that live as long as the bench.
        say: told what takes long.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        ensure(say)
        self.folder = folder
        self.say = say
        self.sandbox = Sandbox(ROOT)
        self._numbers = count(1)
        self._servers: list[str] = []

    def work(self, hint: str, servers: int = 1, apps: tuple[str, ...] = ("hello",)) -> Work:
        """The work for one peer, with bare servers of its own.

        Args:
            hint: for the names of its servers and folder: the peer's name.
            servers: how many.
            apps: names.
        """
        names = [f"bench-{hint}-{os.getpid()}-{next(self._numbers)}" for _ in range(servers)]
        self._servers += names
        booted = self.sandbox.up(*names, ephemeral=True, say=self.say)
        folder = self.folder / names[0]
        (folder / "home" / ".ssh").mkdir(parents=True, mode=0o700)
        certificate, key = write_certificate(folder)
        work = Work(
            servers=tuple(booted),
            repository=folder / "site",
            remote=REMOTE,
            apps=apps,
            certificate=certificate,
            key=key,
            admin=ADMIN,
            admin_key=make_key(folder / "admin"),
            folder=folder / "peer",
            home=folder / "home",
        )
        work.folder.mkdir()
        make_repository(work.repository)
        publish(work)
        return work

    def drop(self, work: Work) -> None:
        """Remove its servers now: they take memory of this machine."""
        names = [server.name for server in work.servers]
        self.sandbox.down(*names)
        self._servers = [name for name in self._servers if name not in names]

    def close(self) -> None:
        """Remove all servers."""
        for name in self._servers:
            with suppress(SandboxError):  # one that never came up is gone already
                self.sandbox.down(name)
        self._servers = []

    def root(self, server: Server, script: str, timeout: float = 60) -> str:
        """The output of a shell script that root runs on a server, past its sshd and the path to it.

        Raises:
            RuntimeError: it failed.
        """
        done = self.sandbox.exec(server.name, ("sh", "-ec", script), timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"{server.name}: {script}\n{done.stdout}{done.stderr}")
        return str(done.stdout).strip()


@contextmanager
def opened(say: Callable[[str], None]) -> Iterator[Bench]:
    """A bench; its servers and files are gone after the block."""
    with tempfile.TemporaryDirectory(prefix="hostwright-bench-") as folder:
        bench = Bench(Path(folder), say)
        try:
            yield bench
        finally:
            bench.close()


# -- the repository ----------------------------------------------------------------------------------------


def make_repository(folder: Path) -> None:
    """A checkout of a site: our sample app, and a mark that `/version` tells."""
    ignored = shutil.ignore_patterns("__pycache__", "tests")
    shutil.copytree(ROOT / "app", folder / "app", ignore=ignored)
    main = folder / "app" / "main.py"
    text = main.read_text()
    if ANSWER not in text:
        raise RuntimeError(f"{main}: /version has another form now")
    text = text.replace(ANSWER, f'{ANSWER[:-1]}, "mark": MARK}}')
    main.write_text(text.replace("from .logs import", "from .mark import MARK\nfrom .logs import", 1))
    (folder / "app" / "mark.py").write_text(MARK.format(mark=0))
    git(folder, "init", "--quiet", "--initial-branch=main")
    _commit(folder, "the site")


def commit(work: Work, files: Mapping[str, str] | None = None) -> str:
    """Make a new commit, and have the servers know it.

    Args:
        files: path -> text of what changes besides the mark.

    Returns:
        the mark that `/version` tells as soon as the commit is served.
    """
    for path, text in (files or {}).items():
        (work.repository / path).write_text(text)
    mark = git(work.repository, "rev-list", "--count", "HEAD")
    (work.repository / "app" / "mark.py").write_text(MARK.format(mark=mark))
    _commit(work.repository, f"change {mark}")
    publish(work)
    return mark


def publish(work: Work) -> None:
    """Put the repository, bare, where each server has it. A bare server has no git yet, so it is copied."""
    with tempfile.TemporaryDirectory(dir=work.home) as folder:
        bare = Path(folder, "site.git")
        git(work.repository, "clone", "--quiet", "--bare", str(work.repository), str(bare))
        packed = subprocess.run(
            ("tar", "--create", "--owner=root:0", "--group=root:0", "--directory", folder, bare.name),
            capture_output=True,
            check=True,
        ).stdout
    new = f"{work.remote}.new"
    script = (
        f"set -e; rm -rf {new} {work.remote}.old; mkdir {new}; tar -x -C {new} --strip-components=1 -f -; "
        f"if [ -e {work.remote} ]; then mv {work.remote} {work.remote}.old; fi; mv {new} {work.remote}"
    )
    for server in work.servers:
        argv = server.ssh_argv("sudo", "-n", "sh", "-c", script)
        subprocess.run(argv, input=packed, check=True, timeout=60)


def git(folder: Path, *argv: str) -> str:
    """The output of git in a folder."""
    author = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    done = subprocess.run(
        ("git", *author, *argv), cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def _commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


# -- keys --------------------------------------------------------------------------------------------------


def make_key(path: Path) -> str:
    """Make a key pair at a path; returns the public one's line."""
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", ADMIN, "-f", str(path)), check=True)
    return path.with_suffix(".pub").read_text().strip()


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for *.example.com and its key; it is its own authority, so clients can check it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    now = datetime.now(timezone.utc)
    names = x509.SubjectAlternativeName([x509.DNSName("*.example.com"), x509.DNSName("example.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "fullchain.pem", folder / "privkey.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, private
