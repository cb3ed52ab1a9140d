"""The environment of a release: made, tried, taken over by root, reused, and made anew where it has to be."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from hostwright.remote.release.dependencies import Lock
from hostwright.remote.release.venv import NO_IMPORT, STEPS, starts, venv_key
from hostwright.remote.run import StepError
from hostwright.testing import FakeSystem

from .uv import CACHE, FILES, ROOT, Server, Unreachable, build, builds


def test_the_key_holds_everything_the_environment_is_made_from() -> None:
    base = ("flask==3\n", "3.11.2", "x86_64", "uv-1")
    keys = {venv_key(*base)}
    for index, other in enumerate(("flask==4\n", "3.11.3", "aarch64", "uv-2")):
        changed = list(base)
        changed[index] = other
        keys.add(venv_key(*changed))
    assert len(keys) == 5
    assert venv_key(*base) == venv_key(*base)


def test_built_tried_taken_over_by_root_and_then_reused() -> None:
    system = builds(Server(FILES))
    made = build(system)
    key = made.name
    assert not made.reused
    assert [words[:2] for words in system.uv] == [
        ["venv", "--relocatable"], ["pip", "sync"], ["-I", "-c"],
    ]  # fmt: skip
    assert "--require-hashes" in system.uv[1]
    names = [argv[0] for argv in system.ran]
    assert names.index("cp") > max(n for n, argv in enumerate(system.ran) if "-I" in argv), (
        "tried before it is copied"
    )
    assert system.listdir(f"{ROOT}/venvs") == [key, f"{key}.ok"]
    assert not system.exists(f"{CACHE}/venv")
    again = build(system)
    assert (again.name, again.reused) == (key, True)


def joined(system: Server, exit_code: int = 0) -> list[str]:
    """The commands of builds that are run as one, which end with this exit code."""
    answer, seen = system._answer, []

    def made(command: str) -> Any:
        if STEPS in command:
            seen.append(command)
            if not exit_code:
                system.put(f"{CACHE}/venv/bin/python", {"link": "/usr/bin/python3"})
            return {"exit": exit_code, "err": "ModuleNotFoundError: No module named 'x'" if exit_code else ""}
        return answer(command)

    system._answer = made  # type: ignore[method-assign]
    return seen


def test_with_an_environment_before_it_a_build_is_one_command() -> None:
    system = builds(Server(FILES))
    commands = joined(system)
    made = build(system, like="before")
    assert not made.reused
    assert system.uv == []
    (command,) = commands
    assert f"{ROOT}/venvs/before" in command
    for words in ('"--offline"', '"--require-hashes"', '"import gunicorn"', f", {NO_IMPORT}]"):
        assert words in command
    assert "--compile-bytecode" not in command


def test_what_fails_as_one_command_is_done_step_by_step() -> None:
    system = builds(Server(FILES))
    commands = joined(system, 1)
    build(system, like="before")
    assert len(commands) == 1
    assert [words[:2] for words in system.uv] == [["venv", "--relocatable"], ["pip", "sync"], ["-I", "-c"]]
    assert "--compile-bytecode" in system.uv[1]


def test_what_does_not_import_is_told_at_once() -> None:
    system = builds(Server(FILES))
    joined(system, NO_IMPORT)
    with pytest.raises(StepError, match="cannot import what serves the app: gunicorn"):
        build(system, like="before")
    assert system.uv == []
    assert system.listdir(f"{ROOT}/venvs") == []


@pytest.mark.parametrize(
    ("steps", "code", "said"),
    [
        ([[["1"], 0], [["2"], 5]], 0, "12"),
        ([[["1!", "2"], 0], [["3"], 5]], 0, "123"),
        ([[["1!", "2!"], 0], [["3"], 5]], 1, "12"),
        ([[["1"], 0], [["2!"], 5]], 5, "12"),
    ],
)
def test_steps_one_after_the_other(steps: list[list[Any]], code: int, said: str) -> None:
    """Each number is told by a command; with a mark it fails."""
    program = "import sys; word = sys.argv[1]; print(word[0], end='', flush=True); sys.exit(len(word) > 1)"
    argvs = [[[[sys.executable, "-c", program, word] for word in words], no] for words, no in steps]
    done = subprocess.run(
        (sys.executable, "-I", "-S", "-B", "-c", STEPS, json.dumps(argvs)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, said)


def test_rebuilt_when_its_interpreter_is_gone() -> None:
    system = builds(Server(FILES))
    key = build(system).name
    system.unlink("/usr/bin/python3")
    again = build(system)
    assert (again.name, again.reused) == (f"{key}-r1", False)
    assert again.detail("as committed") == "rebuilt, 1 file was missing or changed: bin/python"


def test_rebuilt_beside_it_when_somebody_changed_it() -> None:
    system = builds(Server(FILES))
    key = build(system).name
    system.put(f"{ROOT}/venvs/{key}/bin/python", {"link": "/tmp/other"})
    again = build(system)
    assert (again.name, again.reused, again.damage) == (f"{key}-r1", False, ("bin/python",))
    assert system.readlink(f"{ROOT}/venvs/{key}/bin/python") == "/tmp/other", "what may run is left alone"


@pytest.mark.parametrize(
    ("target", "there", "answer"),
    [
        ("/usr/bin/python3", {"/usr/bin/python3": {"link": "python3.11"}, "/usr/bin/python3.11": ""}, True),
        ("/usr/bin/python3", {"/usr/bin/python3": {"link": "python3.13"}, "/usr/bin/python3.13": ""}, False),
        (
            "/usr/bin/python3.11",
            {"/usr/bin/python3": {"link": "python3.13"}, "/usr/bin/python3.13": ""},
            False,
        ),
        ("/usr/bin/python3", {"/usr/bin/python3": ""}, True),
    ],
)
def test_whether_an_environment_still_starts(target: str, there: dict[str, Any], answer: bool) -> None:
    files = {"/v/bin/python": {"link": target}, "/v/lib/python3.11/site-packages": None, **there}
    assert starts(FakeSystem(files=files), "/v") is answer


def test_without_hashes_none_are_asked_for() -> None:
    system = builds(Server(FILES))
    build(system, Lock("flask @ git+https://git.invalid/flask@" + "a" * 40 + "\n", "g", "as in uv.lock"))
    assert "--require-hashes" not in system.uv[1]


def test_what_does_not_import_is_not_taken() -> None:
    system = builds(Server(FILES))
    answer = system._answer

    def broken(command: str) -> Any:
        if " -I -c import" in command:
            return {"exit": 1, "err": "ModuleNotFoundError: No module named 'uvicorn._compat'"}
        return answer(command)

    system._answer = broken  # type: ignore[method-assign]
    with pytest.raises(StepError, match="cannot import what serves the app: gunicorn") as error:
        build(system)
    assert error.value.tail == ("ModuleNotFoundError: No module named 'uvicorn._compat'",)
    assert system.listdir(f"{ROOT}/venvs") == []


def test_no_room_is_seen_before_the_build() -> None:
    system = builds(Server(FILES))
    system.free = (200 << 20, 1 << 20)
    with pytest.raises(
        StepError, match=r"not enough disk space for /srv/hello: 200 MiB free, \d+ MiB needed"
    ):
        build(system)
    assert system.uv == []


def test_what_is_in_the_cache_is_not_asked_for() -> None:
    system = builds(Unreachable(FILES))
    assert not build(system).reused
    assert [argv[-1] for argv in system.uv if argv[:2] == ["pip", "sync"]] == ["--offline"]
