"""Which packages, exactly: as committed, as known from an earlier release, or resolved once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.release.builder import Builder, pip_configuration
from hostwright.remote.release.dependencies import Lock, Resolver, share
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.shelf import Shelf
from hostwright.remote.run import Run, StepError

from .uv import CACHE, FULL, ROOT, TREE, Server, Unreachable

REQUEST = {"requirements": "requirements.txt", "runtime": ["gunicorn>=23,<28"]}


def resolve(system: Server, **request: Any) -> Lock:
    layout = Layout("hello")
    builder = Builder(
        system, layout, {"UV_INDEX_PRIVATE_PASSWORD": "s3cret"}, "/run/hostwright", lambda line: None
    )
    found = {**REQUEST, **request}
    return Resolver(system, layout, builder, Shelf(system, layout), found, TREE).lock("3.11.2", "x86_64")


def release(name: str, given: str, lock: str) -> dict[str, Any]:
    folder = f"{ROOT}/releases/{name}"
    parts = ("code", "venv/bin/python", "gunicorn.conf.py", "env")
    return {
        f"{folder}/release.json": json.dumps({"given": given}),
        f"{folder}/requirements.lock": lock,
        **{f"{folder}/{part}": "" for part in parts},
    }


def test_complete_and_hashed_is_taken_as_committed() -> None:
    system = Server({f"{TREE}/requirements.txt": FULL})
    lock = resolve(system)
    assert (lock.text, lock.hashed, lock.note) == (FULL, True, "as committed")
    assert system.ran == [], "no network, no tool"


def test_what_serves_the_app_is_added_and_the_rest_stays() -> None:
    mine = "flask==3 --hash=sha256:aa\nclick==8 --hash=sha256:cc\n"
    more = "gunicorn==27 --hash=sha256:bb\npackaging==1 --hash=sha256:dd\nclick==8 --hash=sha256:other\n"
    system = Server({f"{TREE}/requirements.txt": mine}, more)
    lock = resolve(system)
    assert lock.text == mine + "gunicorn==27 --hash=sha256:bb\npackaging==1 --hash=sha256:dd\n"
    assert lock.hashed
    (argv,) = system.uv
    assert argv[:2] == ["pip", "compile"]
    assert argv[-3:] == ["-c", f"{ROOT}/build/constraints.txt", f"{ROOT}/build/runtime.txt"]
    assert system.read(f"{ROOT}/build/runtime.txt") == b"gunicorn>=23,<28\n"


def test_without_hashes_it_is_resolved_once() -> None:
    files = {f"{TREE}/requirements.txt": "flask\n"}
    system = Server(files, FULL)
    lock = resolve(system)
    assert (lock.text, lock.note) == (FULL, "resolved")
    assert "--generate-hashes" in system.uv[0]
    again = Server({**files, **release("r1", lock.given, FULL)})
    known = resolve(again)
    assert (known.text, known.given, known.note) == (FULL, lock.given, "locked as in r1")
    assert again.uv == []


def test_what_another_host_found_counts_more_than_what_is_known_here() -> None:
    files = {f"{TREE}/requirements.txt": "flask\n"}
    given = resolve(Server(files, FULL)).given
    system = Server({**files, **release("r1", given, FULL)})
    lock = resolve(system, lock={"host": "web1", "text": "flask==2 --hash=sha256:cc\n"})
    assert (lock.text, lock.given) == ("flask==2 --hash=sha256:cc\n", given)
    assert lock.note == "the same as on web1"
    assert system.uv == []


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"given": "g", "secrets": []}, [events.PackagesLocked("g", FULL)]),
        ({"given": "", "secrets": []}, []),
        ({"secrets": []}, []),
        ({"given": "g", "secrets": ["sha256:aa"]}, []),
    ],
)
def test_what_was_found_is_told_where_others_wait(request_: dict[str, Any], told: list[events.Event]) -> None:
    heard: list[events.Event] = []
    share(Run(heard.append, lambda: False), request_, Lock(FULL, "other", "resolved"))
    assert heard == told


@pytest.mark.parametrize("changed", [{"requirements.txt": "flask\nclick\n"}, {"runtime": ["gunicorn>=24"]}])
def test_another_question_is_resolved_again(changed: dict[str, Any]) -> None:
    given = resolve(Server({f"{TREE}/requirements.txt": "flask\n"}, FULL)).given
    text = changed.pop("requirements.txt", "flask\n")
    system = Server({f"{TREE}/requirements.txt": text, **release("r1", given, FULL)}, FULL)
    assert resolve(system, **changed).note == "resolved"


def test_a_nested_file_is_part_of_the_question() -> None:
    def given(base: str) -> str:
        files = {f"{TREE}/requirements.txt": "-r base.txt\n", f"{TREE}/base.txt": base}
        return resolve(Server(files, FULL)).given

    assert given("flask\n") == given("flask  # the same\n")
    assert given("flask\n") != given("flask>=3\n")


def test_versions_of_the_live_release_are_kept_where_they_fit() -> None:
    system = Server(
        {f"{TREE}/requirements.txt": "flask\n", f"{ROOT}/current/requirements.lock": "flask==2\n"}, FULL
    )
    seen: list[bytes | None] = []
    answer = system._answer

    def spy(command: str) -> Any:
        if "pip compile" in command:
            seen.append(system.read(f"{CACHE}/requirements.lock"))
        return answer(command)

    system._answer = spy  # type: ignore[method-assign]
    resolve(system)
    assert seen == [b"flask==2\n"], "uv starts from the file it is to write"


def test_uv_lock_is_exported() -> None:
    files = {f"{TREE}/back/pyproject.toml": "[project]\n", f"{TREE}/back/uv.lock": "version = 1\n"}
    system = Server(files, FULL)
    lock = resolve(system, requirements="back/pyproject.toml")
    assert (lock.text, lock.note) == (FULL, "as in uv.lock")
    assert system.uv[0][0] == "export"
    assert "--locked" in system.uv[0]
    assert f"{TREE}/back" in system.uv[0]


def test_a_link_of_the_commit_does_not_lead_root_out_of_it(tmp_path: Path) -> None:
    from hostwright.remote.system import System

    (tmp_path / "tree" / "reqs").mkdir(parents=True)
    (tmp_path / "shadow").write_text("root:secret\n")
    (tmp_path / "tree" / "requirements.txt").write_text("-r reqs/more.txt\n")
    (tmp_path / "tree" / "reqs" / "more.txt").symlink_to("link")
    (tmp_path / "tree" / "reqs" / "link").symlink_to(tmp_path / "shadow")
    layout, system = Layout("hello"), System()
    builder = Builder(system, layout, {}, str(tmp_path), lambda line: None)
    tree = str(tmp_path / "tree")
    with pytest.raises(StepError) as error:
        Resolver(system, layout, builder, Shelf(system, layout), REQUEST, tree).lock("3.11.2", "x86_64")
    assert error.value.message == "reqs/more.txt: it leads out of the repository"
    assert "secret" not in str(error.value)


def test_a_uv_lock_that_is_outdated_is_refused() -> None:
    files = {f"{TREE}/pyproject.toml": "[project]\n", f"{TREE}/uv.lock": "version = 1\n"}
    said = "error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided."
    with pytest.raises(StepError) as error:
        resolve(Server(files, failing=said), requirements="pyproject.toml")
    assert error.value.message == "uv.lock: it does not hold what pyproject.toml asks for"
    assert error.value.hint == "uv lock; git commit uv.lock"


def test_a_uv_lock_that_cannot_be_checked_is_used() -> None:
    class Offline(Server):
        def _answer(self, command: str) -> Any:
            self.failing = "dns error" if "--locked" in command else ""
            return super()._answer(command)

    files = {f"{TREE}/pyproject.toml": "[project]\n", f"{TREE}/uv.lock": "version = 1\n"}
    assert resolve(Offline(files, FULL), requirements="pyproject.toml").text == FULL


def test_a_project_for_another_python_is_refused() -> None:
    files = {f"{TREE}/pyproject.toml": '[project]\nrequires-python = ">=3.13"\n'}
    with pytest.raises(StepError) as error:
        resolve(Server(files, FULL), requirements="pyproject.toml")
    assert error.value.message == "pyproject.toml: it wants Python >=3.13, and this server has 3.11.2"


def test_a_path_dependency_in_uv_lock_is_refused() -> None:
    files = {f"{TREE}/pyproject.toml": "[project]\n", f"{TREE}/uv.lock": "version = 1\n"}
    with pytest.raises(StepError) as error:
        resolve(Server(files, "./libs/mine\n"), requirements="pyproject.toml")
    assert error.value.message == "pyproject.toml: a dependency that is a path is not carried: ./libs/mine"


def test_a_project_of_another_tool_says_what_to_do() -> None:
    system = Server({f"{TREE}/pyproject.toml": "[tool.poetry]\nname = 'x'\n"})
    with pytest.raises(StepError) as error:
        resolve(system, requirements="pyproject.toml")
    assert error.value.message == "pyproject.toml: it has no [project] table and no uv.lock beside it"
    assert "poetry export" in error.value.hint


FAILURES = [
    ("  × No solution found: no-such-package-zzz was not found", ""),
    (
        "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
        "packages: [build-essential, python3-dev]",
    ),
    ("src/module.c:1:10: fatal error: Python.h: No such file or directory", "python3-dev"),
    (
        "error: Failed to fetch: `https://index.invalid/simple/flask/`\n dns error",
        "cannot reach the package index",
    ),
    ("HTTP status client error (401 Unauthorized)", "`build_env:`"),
]


@pytest.mark.parametrize(("said", "hint"), FAILURES)
def test_a_failure_shows_uvs_own_lines(said: str, hint: str) -> None:
    system = Server({f"{TREE}/requirements.txt": "flask\n"}, failing=said)
    with pytest.raises(StepError) as error:
        resolve(system)
    assert error.value.message == "the requirements do not resolve (uv pip compile: exit code 1)"
    assert error.value.tail == tuple(said.strip().splitlines())
    assert hint in error.value.hint


def test_without_a_package_index_the_cache_may_be_enough() -> None:
    system = Unreachable({f"{TREE}/requirements.txt": "flask\n"}, FULL)
    lock = resolve(system)
    assert (lock.text, lock.note) == (
        FULL, "resolved, without the package index, which cannot be reached",
    )  # fmt: skip
    assert [argv[-1] == "--offline" for argv in system.uv] == [False, True]


def test_where_the_cache_is_not_enough_it_is_the_package_index_that_is_told() -> None:
    system = Unreachable({f"{TREE}/requirements.txt": "flask\n"}, FULL)
    system.enough = False
    with pytest.raises(StepError) as error:
        resolve(system)
    assert "dns error" in "".join(error.value.tail)
    assert "cannot reach the package index" in error.value.hint


def test_a_package_that_cannot_be_built_is_named() -> None:
    said = "error: Failed to build `mysqlclient==2.1.0`\n  cause: ...\n    OSError: mysql_config not found"
    with pytest.raises(StepError) as error:
        resolve(Server({f"{TREE}/requirements.txt": "mysqlclient\n"}, failing=said))
    assert "Failed to build mysqlclient==2.1.0 (uv pip compile: exit code 1)" in error.value.message
    assert "no wheel" in error.value.hint
    assert "`packages:`" in error.value.hint


def test_secrets_of_the_build_are_in_no_argv_and_no_file_that_stays() -> None:
    system = Server({f"{TREE}/requirements.txt": "flask\n"}, FULL)
    environment: list[bytes] = []
    write = system.write_atomic

    def spy(path: str, content: bytes, **how: Any) -> None:
        if path == "/run/hostwright/build-hello.env":
            assert how["mode"] == 0o600
            environment.append(content)
        write(path, content, **how)

    system.write_atomic = spy  # type: ignore[method-assign]
    resolve(system)
    assert b'UV_INDEX_PRIVATE_PASSWORD="s3cret"\n' in environment[0]
    assert not system.exists("/run/hostwright/build-hello.env")
    assert not any("s3cret" in word for argv in system.ran for word in argv)
    assert not any(b"s3cret" in node.get("content", b"") for node in system.nodes.values())


def test_the_build_runs_in_a_sandbox_as_nobody_we_know() -> None:
    system = Server({f"{TREE}/requirements.txt": "flask\n"}, FULL)
    resolve(system)
    (argv,) = [argv for argv in system.ran if argv[0] == "systemd-run"]
    for line in ("DynamicUser=yes", "SupplementaryGroups=hello", "CacheDirectory=hostwright-build-hello"):
        assert f"--property={line}" in argv
    assert any(word.startswith("--property=InaccessiblePaths=-/var/lib/hello ") for word in argv)


def test_a_link_that_the_build_left_is_not_followed() -> None:
    system = Server({f"{TREE}/requirements.txt": "flask\n", "/etc/shadow": "root:secret"})
    answer = system._answer

    def plant(command: str) -> Any:
        found = answer(command)
        if "pip compile" in command:
            system.put(f"{CACHE}/requirements.lock", {"link": "/etc/shadow"})
        return found

    system._answer = plant  # type: ignore[method-assign]
    with pytest.raises(StepError, match=r"the build left no requirements\.lock"):
        resolve(system)


def test_pip_conf_is_translated() -> None:
    raw = b"[global]\nindex-url = https://index.invalid/simple\nextra_index_url = https://a.invalid\n  https://b.invalid\n"
    assert pip_configuration(raw + b"timeout = 60\nfind-links = /w /x\n") == {
        "UV_DEFAULT_INDEX": "https://index.invalid/simple",
        "UV_INDEX": "https://a.invalid https://b.invalid",
        "UV_FIND_LINKS": "/w,/x",
    }
    assert (
        pip_configuration(None)
        == pip_configuration(b"not [ini")
        == pip_configuration(b"[install]\nx=1")
        == {}
    )
