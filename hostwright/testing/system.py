"""A server in memory: files, names, units, locks, a clock, and the commands it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from hostwright.remote.system import CommandFailed, Result, RunCancelled
from hostwright.testing.files import FakeFiles


class FakeSystem(FakeFiles):
    """A System whose files, names and commands are given.

    Args:
        files: path -> content (str), or a mapping with content, mode, uid, gid; None is a directory;
            {"link": target} is a symlink.
        users: name -> (uid, gid, home, shell); root is always there.
        groups: name -> (gid, members); root is always there.
        commands: "argv joined by spaces" -> output, or {"exit": code, "out": text, "err": text}, or a list of
            those for successive calls. An answer may also say what the command does to the server: "files",
            "users", "groups", "units", "nft" (as here), "removed" (paths). A key that ends in " ..." is for every
            command that begins so. A command that is not listed fails the test.
        units: unit name -> properties, over those of a unit that is loaded, disabled and stopped; None or a
            missing name is a unit that is not there.
        locks: path -> (process id, command, seconds until it is free).
        nft: table of the family inet -> chain -> [policy, number of rules]; None is a table that is not there.
        now: Unix seconds at the start; the clock only moves with `sleep`.

    `ran` lists the commands that were run, as tuples; `inputs` and `environments` what they got.
    """

    UNIT: ClassVar[Mapping[str, str]] = {
        "LoadState": "loaded",
        "LoadError": "",
        "ActiveState": "inactive",
        "SubState": "dead",
        "UnitFileState": "disabled",
        "NeedDaemonReload": "no",
        "Result": "success",
        "ExecMainStatus": "0",
        "MainPID": "0",
    }

    def __init__(
        self,
        files: Mapping[str, Any] | None = None,
        *,
        users: Mapping[str, Sequence[Any]] | None = None,
        groups: Mapping[str, Sequence[Any]] | None = None,
        commands: Mapping[str, Any] | None = None,
        units: Mapping[str, Mapping[str, str] | None] | None = None,
        locks: Mapping[str, Sequence[Any]] | None = None,
        nft: Mapping[str, Mapping[str, Sequence[Any]] | None] | None = None,
        now: float = 1_800_000_000.0,
    ) -> None:
        super().__init__()
        self.users: dict[str, tuple[Any, ...]] = {"root": (0, 0, "/root", "/bin/bash")}
        self.groups: dict[str, tuple[int, tuple[str, ...]]] = {"root": (0, ())}
        self.units: dict[str, Mapping[str, str] | None] = {}
        self.locks = {path: tuple(holder) for path, holder in (locks or {}).items()}
        self.tables: dict[str, dict[str, tuple[str | None, int]] | None] = {}
        self.slept = 0.0
        self._start = now
        self.commands = {k: list(v) if isinstance(v, list) else v for k, v in (commands or {}).items()}
        self.ran: list[tuple[str, ...]] = []
        self.inputs: list[bytes | None] = []
        self.environments: list[dict[str, str]] = []
        self.happen(
            {
                "files": files or {},
                "users": users or {},
                "groups": groups or {},
                "units": units or {},
                "nft": nft or {},
            },
        )

    def happen(self, effects: Mapping[str, Any]) -> None:
        """Change the server: files, users, groups, units as in the constructor, and `removed` paths."""
        for path, value in effects.get("files", {}).items():
            self.put(path, value)
        for path in effects.get("removed", ()):
            self.unlink(path)
            self.remove_tree(path)
        for name, user in effects.get("users", {}).items():
            self.users[name] = tuple(user)
        for name, (gid, members) in effects.get("groups", {}).items():
            self.groups[name] = (gid, tuple(members))
        for name, chains in effects.get("nft", {}).items():
            self.tables[name] = (
                None if chains is None else {key: (found[0], found[1]) for key, found in chains.items()}
            )
        for name, unit in effects.get("units", {}).items():
            self.units[name] = (
                None if unit is None else {**self.UNIT, "Id": name, **(self.units.get(name) or {}), **unit}
            )

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        check: bool = True,
        input: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        on_line: Callable[[str], None] | None = None,
        cancellable: bool = False,
        read_only: bool = False,
    ) -> Result:
        """The given output of a command, in turn; an unknown command is an AssertionError."""
        result = self._result(argv, input, env)
        if on_line:
            for line in result.out.splitlines():
                on_line(line)
        if check and not result.ok:
            raise CommandFailed(argv, result.exit_code, result.tail())
        return result

    def stream(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        on_out: Callable[[str], None],
        on_err: Callable[[str], None],
    ) -> Result:
        """The given output, line by line."""
        result = self._result(argv)
        for text, take in ((result.out, on_out), (result.err, on_err)):
            for line in text.splitlines():
                take(line)
        return result

    def capture(
        self, argv: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, bytes]:
        """The given output as bytes."""
        result = self._result(argv, env=env)
        return result.exit_code, result.out.encode(), result.err.encode()

    def feed(self, argv: Sequence[str], chunks: Iterable[bytes]) -> Result:
        """The given output; the chunks are in `inputs`."""
        return self._result(argv, b"".join(chunks))

    def _result(
        self, argv: Sequence[str], input: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> Result:
        self.ran.append(tuple(argv))
        self.inputs.append(input)
        self.environments.append(dict(env or {}))
        answer = self._answer(" ".join(argv))
        self.happen(answer)
        return Result(argv, answer.get("exit", 0), answer.get("out", ""), answer.get("err", ""))

    def _answer(self, command: str) -> Mapping[str, Any]:
        for key in (command, *(key for key in self.commands if key.endswith(" ..."))):
            if key in self.commands and (key == command or command.startswith(key[:-3])):
                answer = self.commands[key]
                if isinstance(answer, list):
                    if not answer:
                        raise AssertionError(f"one call too many: {command}")
                    answer = answer.pop(0)
                return {"out": answer} if isinstance(answer, str) else dict(answer)
        raise AssertionError(f"unexpected command: {command}")

    def prefetch_units(self, names: Sequence[str]) -> None:
        """Nothing is asked before it is needed."""

    def unit(self, name: str) -> Mapping[str, str]:
        """The given properties."""
        found = self.units.get(name)
        return found or {**self.UNIT, "Id": name, "LoadState": "not-found", "UnitFileState": ""}

    def nft_chains(self, table: str) -> dict[str, tuple[str | None, int]] | None:
        """The given chains."""
        return self.tables.get(table)

    def now(self) -> float:
        """The start and what was slept."""
        return self._start + self.slept

    def monotonic(self) -> float:
        """What was slept."""
        return self.slept

    def sleep(self, seconds: float) -> None:
        """Moves the clock; takes no time."""
        if self.cancelled():
            raise RunCancelled("stopped by the user")
        self.slept += seconds

    def lock_holder(self, path: str) -> tuple[int, str] | None:
        """Who holds a lock, until its time has come."""
        pid, command, seconds = self.locks.get(path, (0, "", 0.0))
        return (pid, command) if seconds > self.slept else None

    def user(self, name: str) -> tuple[int, int, str, str] | None:
        """(uid, primary gid, home, shell)."""
        return self.users.get(name)

    def group(self, name: str) -> tuple[int, tuple[str, ...]] | None:
        """(gid, members)."""
        return self.groups.get(name)

    def user_name(self, uid: int) -> str:
        """The name, or the number."""
        return next((name for name, entry in self.users.items() if entry[0] == uid), str(uid))

    def group_name(self, gid: int) -> str:
        """The name, or the number."""
        return next((name for name, entry in self.groups.items() if entry[0] == gid), str(gid))
