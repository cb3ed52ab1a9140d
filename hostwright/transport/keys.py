"""Which keys to log in with, in which order, and what to say about those that cannot be used."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hostwright.errors import AuthenticationFailed
from hostwright.transport.hostkeys import HostKey
from hostwright.transport.keyfile import KeyFile, KeyFileProblem, inspect
from hostwright.transport.prompt import Prompt

if TYPE_CHECKING:
    from paramiko import PKey

    from hostwright.inventory import Secret
    from hostwright.transport.agent import Agent

DEFAULTS = ("id_ed25519", "id_ecdsa", "id_rsa")
ATTEMPTS = 3

# the passphrase of a key file, or None when there is nobody to ask
Passphrase = Callable[[Path], "Secret | None"]


@dataclass(frozen=True)
class Candidate:
    """A key to try. `source` says where it is from, for people."""

    key: PKey
    source: str

    @property
    def line(self) -> str:
        """Its public half, as a line of authorized_keys."""
        return f"{self.key.get_name()} {self.key.get_base64()}"

    def __str__(self) -> str:
        return f"{self.source}  {HostKey('', self.key.asbytes()).fingerprint}"


def _on_terminal() -> bool:
    return sys.stdin.isatty()


class Passphrases:
    """Asks for the passphrases of key files on the terminal, once each. Share it between hosts.

    Args:
        ask: shows a prompt and reads an answer.
        tty: whether there is somebody to ask.
    """

    def __init__(
        self,
        ask: Callable[[str], str] | None = None,
        tty: Callable[[], bool] = _on_terminal,
    ) -> None:
        self._ask = ask or Prompt()
        self._tty = tty
        self._lock = threading.Lock()
        self._answers: dict[Path, Secret | None] = {}

    def __call__(self, path: Path) -> Secret | None:
        """The passphrase, or None when there is no terminal to ask on or it was never right.

        Raises:
            Cancelled: Ctrl-C at the question.
        """
        from hostwright.inventory.secret import Secret

        with self._lock:
            if path not in self._answers:
                self._answers[path] = None
                for _ in range(ATTEMPTS if self._tty() else 0):
                    answer = Secret(self._ask(f"Passphrase for {path}: "))
                    try:
                        load(path, answer)
                    except KeyFileProblem:
                        continue
                    self._answers[path] = answer
                    break
            return self._answers[path]


def load(path: Path, passphrase: Secret | None = None) -> PKey:
    """A private key from its file, with the certificate beside it when there is one.

    Raises:
        KeyFileProblem: it cannot be read as a key, or the passphrase is wrong.
    """
    from paramiko.pkey import PKey, UnknownKeyType
    from paramiko.ssh_exception import SSHException

    try:
        return PKey.from_path(path, passphrase.reveal().encode() if passphrase is not None else None)  # type: ignore[arg-type]
    except UnknownKeyType:
        raise KeyFileProblem(f"{path} is a key of an unsupported type", "ssh-keygen -t ed25519") from None
    except (ValueError, TypeError, SSHException) as error:
        hint = f"Rewrite it in OpenSSH's format: ssh-keygen -p -f {path}"
        raise KeyFileProblem(f"{path} cannot be read as a private key", hint) from error


def check(files: Iterable[Path], host: str | None) -> None:
    """Look at key files before anything is contacted. Loads nothing that takes long.

    Args:
        files: those that must be usable.
        host: what the server is called; for errors.

    Raises:
        AuthenticationFailed: one cannot be used.
    """
    for path in files:
        try:
            inspect(path)
        except KeyFileProblem as problem:
            raise _fatal(problem, host) from problem


def _fatal(problem: KeyFileProblem, host: str | None) -> AuthenticationFailed:
    return AuthenticationFailed(problem.message, host=host, hint=problem.hint or None)


@dataclass
class Keys:
    """The keys for one login.

    Args:
        named: files the inventory or ssh_config names; without, `~/.ssh/id_*`.
        strict: a named file that cannot be used is an error of its own, not something to note and pass over.
        agent: the agent.
        agent_too: keys of the agent are tried when no file works.
        passphrase: for encrypted files that the agent does not hold.
        host: what the server is called; for errors.
    """

    named: tuple[Path, ...]
    agent: Agent
    passphrase: Passphrase
    strict: bool = False
    agent_too: bool = True
    host: str | None = None
    notes: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Candidate]:
        """The keys in order, each once. What could not be used is added to `notes` on the way.

        Raises:
            AuthenticationFailed: a key file that `strict` insists on cannot be used.
        """
        seen: set[bytes] = set()
        for candidate in self._all():
            blob = candidate.key.asbytes()
            if blob not in seen:
                seen.add(blob)
                yield candidate

    def _all(self) -> Iterator[Candidate]:
        folder = Path.home() / ".ssh"
        for path in self.named or [folder / name for name in DEFAULTS if (folder / name).exists()]:
            try:
                candidate = self._from_file(inspect(path))
            except KeyFileProblem as problem:
                if self.strict:
                    raise _fatal(problem, self.host) from problem
                self.notes.append(problem.message)
                continue
            if candidate:
                yield candidate
        if self.agent_too:
            for key in self.agent.keys:
                yield Candidate(key, f"ssh agent: {key.comment or key.get_name()}")

    def _from_file(self, file: KeyFile) -> Candidate | None:
        if file.note:
            self.notes.append(file.note)
        if file.encrypted or not file.private:
            for key in self.agent.keys:
                if key.asbytes() == file.public:
                    return Candidate(key, f"{file.path} (held by the ssh agent)")
        if not file.private:
            raise KeyFileProblem(
                f"{file.path} is a public key, and the ssh agent does not hold its private half",
                f"Name the private key instead, most likely {str(file.path).removesuffix('.pub')}",
            )
        passphrase = None
        if file.encrypted:
            passphrase = self.passphrase(file.path)
            if passphrase is None:
                holder = "the ssh agent does not hold it" if self.agent.present else "no ssh agent is running"
                raise KeyFileProblem(
                    f"{file.path} has a passphrase, and {holder}", f"Unlock it first: ssh-add {file.path}"
                )
        return Candidate(load(file.path, passphrase), str(file.path))
