"""The build command: where it runs, what it is given, what its result is called."""

from __future__ import annotations

from typing import Any

import pytest

from hostwright.remote.release.build_code import BuildCommand
from hostwright.remote.release.builder import Builder
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.tree import Kept, Store
from hostwright.remote.run import StepError
from hostwright.remote.system import Result
from hostwright.testing import FakeSystem

LAYOUT = Layout("hello")
SOURCE = "/srv/hello/trees/t1-source"
CACHE = "/var/cache/private/hostwright-build-hello"
REQUEST: dict[str, Any] = {
    "build_command": ["python", "manage.py", "collectstatic"],
    "build_env": {},
    "directory": "site",
    "release": {"files": {"env": {"content": 'SECRET_KEY="s3cret"\n'}}},
}


class Server(FakeSystem):
    """The build leaves `left`, and ends with `code`."""

    def __init__(self, left: dict[str, Any] | None = None, code: int = 0) -> None:
        super().__init__(
            files={
                "/srv/hello/venvs/v1/bin/python": {"link": "/usr/bin/python3"},
                "/usr/bin/python3": "",
                f"{SOURCE}/site/manage.py": "",
                f"{SOURCE}/site/make": {"content": "#!/bin/sh", "mode": 0o755},
                CACHE: None,
                "/run/hostwright": None,
            },
            commands={"systemctl stop ...": "", "chmod ...": "", "find ...": ""},
        )
        self.left, self.code = left or {}, code
        self.given = b""

    def _result(self, argv: Any, *rest: Any) -> Result:
        if argv[0] == "cp":
            for path, value in self.left.items():
                self.put(f"{argv[-1]}/{path}", value)
            return self._did(argv)
        if "compileall" in argv:
            return self._did(argv)
        if argv[0] == "systemd-run" and "/bin/cp" in argv:
            self.put(f"{CACHE}/code/site/manage.py", "")
            return self._did(argv)
        if argv[0] == "systemd-run":
            self.given = self.read("/run/hostwright/build-hello.env") or b""
            return self._did(argv, self.code, "one\nno such setting\n")
        return super()._result(argv, *rest)

    def _did(self, argv: Any, code: int = 0, out: str = "") -> Result:
        self.ran.append(tuple(argv))
        return Result(argv, code, out, "")

    @property
    def build(self) -> tuple[str, ...]:
        return [argv for argv in self.ran if argv[0] == "systemd-run"][1]


def command(system: Server, links: dict[str, str] | None = None, **request: Any) -> BuildCommand:
    given = {**REQUEST, **request}
    builder = Builder(system, LAYOUT, given["build_env"], "/run/hostwright", lambda line: None)
    return BuildCommand(system, LAYOUT, builder, given, links or {})


def run(system: Server, links: dict[str, str] | None = None, **request: Any) -> Kept:
    store = Store(system, LAYOUT.trees)
    return command(system, links, **request).ensure(store, SOURCE, "t1", "v1", 1000, 10)


def test_it_runs_in_the_apps_directory_with_the_releases_packages() -> None:
    system = Server({"site/manage.py": "", "site/made.css": "css"})
    made = run(system)
    words = system.build[system.build.index("--") + 1 :]
    assert words == ("/srv/hello/venvs/v1/bin/python", "manage.py", "collectstatic")
    assert "--property=WorkingDirectory=/var/cache/hostwright-build-hello/code/site" in system.build
    assert "--property=DynamicUser=yes" in system.build
    assert system.exists(f"/srv/hello/trees/{made.name}/site/made.css")
    assert system.exists(f"/srv/hello/trees/{made.name}.ok")
    assert made.name.startswith("t1-cpython-")
    # nothing is left where the build could change it
    assert not system.exists(f"{CACHE}/code")
    assert not system.exists("/run/hostwright/build-hello.env")
    again = run(system)
    assert (again.name, again.reused) == (made.name, True)
    assert len([argv for argv in system.ran if argv[0] == "systemd-run"]) == 2


def test_the_environment_is_in_a_file_for_root_alone() -> None:
    system = Server()
    run(system, build_env={"NPM_TOKEN": "t0ken"})
    given = system.given.decode()
    assert 'SECRET_KEY="s3cret"\n' in given
    # of a name that comes twice the last value counts
    assert given.index("PATH=") < given.index("SECRET_KEY") < given.index("NPM_TOKEN")
    assert 'PATH="/srv/hello/venvs/v1/bin:/usr/local/bin:/usr/bin:/bin"' in given
    said = " ".join(word for argv in system.ran for word in argv)
    assert "s3cret" not in said
    assert "t0ken" not in said


def test_a_program_of_the_app_is_that_of_the_copy() -> None:
    system = Server()
    run(system, build_command=["./make", "$all"])
    words = system.build[system.build.index("--") + 1 :]
    assert words == ("/var/cache/hostwright-build-hello/code/site/make", "$$all")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("npm", "there is no program npm"),
        ("./manage.py", "manage.py is not executable"),
        ("./no", "no program ./no"),
    ],
)
def test_a_program_that_is_not_there(program: str, said: str) -> None:
    with pytest.raises(StepError, match=said):
        run(Server(), build_command=[program])


def test_a_failure_shows_its_last_lines_and_leaves_nothing() -> None:
    system = Server(code=3)
    with pytest.raises(StepError) as error:
        run(system)
    assert error.value.message == "the build command failed: python manage.py collectstatic (exit code 3)"
    assert error.value.tail == ("one", "no such setting")
    assert "The app's `env` is set" in error.value.hint
    assert system.listdir(LAYOUT.trees) == ["t1-source"]
    assert not system.exists(f"{CACHE}/code")


def test_shared_directories_are_linked_after_it() -> None:
    links = {"site/uploads": "/srv/hello/shared/uploads"}
    system = Server({"site/uploads/.gitkeep": ""})
    made = run(system, links)
    assert system.readlink(f"/srv/hello/trees/{made.name}/site/uploads") == "/srv/hello/shared/uploads"
    for left in (
        {"site/uploads/made.png": ""},
        {"site": {"link": "/etc"}},
        {"site/uploads": {"link": "/etc"}},
    ):
        with pytest.raises(StepError, match="is not free in what was built"):
            run(Server(left), links)


def test_a_build_that_leaves_no_directory() -> None:
    system = Server()
    put = system.put

    def plant(path: str, value: object) -> None:
        put(f"{CACHE}/code", {"link": "/etc"}) if path == f"{CACHE}/code/site/manage.py" else put(path, value)

    system.put = plant  # type: ignore[method-assign]
    with pytest.raises(StepError, match="the build left no code"):
        run(system)


def test_what_is_in_the_key() -> None:
    system = Server()
    keys = {
        command(system).key("t1", "v1"),
        command(system).key("t2", "v1"),
        command(system).key("t1", "v2"),
        command(system, {"site/up": "/srv/hello/shared/up"}).key("t1", "v1"),
        command(system, directory=".").key("t1", "v1"),
        command(system, build_command=["make"]).key("t1", "v1"),
        command(system, build_env={"A": "1"}).key("t1", "v1"),
        command(system, build_env={"A": "2"}).key("t1", "v1"),
    }
    assert len(keys) == 8
    # the app's environment is not: a changed variable does not build again
    other = {"files": {"env": {"content": 'SECRET_KEY="other"\n'}}}
    assert command(system, release=other).key("t1", "v1") in keys
    assert command(system, build_env={"A": "1"}).key("t1", "v1") in keys


def test_nobody_can_try_passwords_against_the_key() -> None:
    """The name of a folder is no secret, so that of two servers differs for the same password."""
    names = {command(Server(), build_env={"PASSWORD": "summer"}).key("t1", "v1") for _ in range(2)}
    assert len(names) == 2
    system = Server()
    command(system, build_env={"PASSWORD": "summer"}).key("t1", "v1")
    stat = system.stat("/srv/hello/build.key")
    assert stat
    assert stat.mode == 0o600
