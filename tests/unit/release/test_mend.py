"""A release that lies on disk, whose environment or code was damaged, or whose Python is gone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hostwright.remote import events
from hostwright.remote.release.git import Repository
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.mend import mended
from hostwright.remote.release.shelf import Shelf
from hostwright.remote.release.tree import Store, ensure_tree
from hostwright.remote.run import Run, StepError
from hostwright.remote.system import System

from .repositories import Work
from .test_git import Plain, pack
from .uv import FILES, FULL, ROOT, Server, build, builds

TAG = sys.implementation.cache_tag


class Draining:
    """The releases that still answer."""

    def __init__(self, *releases: str) -> None:
        self.releases = releases

    def active(self) -> tuple[str, ...]:
        return self.releases


def transaction(system: System, layout: Layout, *draining: str) -> Any:
    heard: list[events.Event] = []
    return SimpleNamespace(
        system=system, layout=layout, shelf=Shelf(system, layout), drain=Draining(*draining), heard=heard,
        run=Run(heard.append, lambda: False), request={"paths": {"runtime": "/run/hostwright"}},
    )  # fmt: skip


def told(it: Any) -> list[str]:
    return [f"{event.step}: {event.detail}" for event in it.heard if isinstance(event, events.StepFinished)]


@pytest.fixture
def server() -> Server:
    """With one release, r1, whose environment was built there; its code is whole."""
    code = {f"{ROOT}/trees/t-{TAG}/app.py": "", f"{ROOT}/releases": None}
    system = builds(Server({**FILES, **code}))
    store = Store(system, f"{ROOT}/trees")
    store._mark(f"t-{TAG}", system.walk(f"{ROOT}/trees/t-{TAG}"))
    key = build(system).name
    folder = f"{ROOT}/releases/r1"
    about = {"id": "r1", "tree": f"t-{TAG}", "venv": key, "modules": ["gunicorn", "uvicorn_worker"]}
    system.put(f"{folder}/release.json", json.dumps(about))
    system.put(f"{folder}/requirements.lock", FULL)
    system.put(f"{folder}/code", {"link": f"../../trees/t-{TAG}"})
    system.put(f"{folder}/venv", {"link": f"../../venvs/{key}"})
    for name in ("env", "gunicorn.conf.py"):
        system.put(f"{folder}/{name}", "")
    system.uv.clear()
    return system


def venv(system: Server) -> str:
    link = system.readlink(f"{ROOT}/releases/r1/venv")
    about = json.loads(system.read(f"{ROOT}/releases/r1/release.json") or b"{}")
    assert link == f"../../venvs/{about['venv']}"
    return str(about["venv"])


def test_nothing_happens_to_what_is_whole(server: Server) -> None:
    it, before = transaction(server, Layout("hello")), venv(server)
    assert mended(it, "r1") == "r1"
    assert (venv(server), server.uv, it.heard) == (before, [], [])


def test_a_damaged_environment_is_built_again_beside_it(server: Server) -> None:
    it, before = transaction(server, Layout("hello")), venv(server)
    server.put(f"{ROOT}/venvs/{before}/bin/python", {"link": "/tmp/evil"})
    mended(it, "r1")
    assert venv(server) == f"{before}-r1"
    assert told(it) == [
        "venv: rebuilt with the versions that r1 had: 1 file was missing or changed: bin/python"
    ]
    assert server.readlink(f"{ROOT}/venvs/{before}/bin/python") == "/tmp/evil", "left as it is"
    assert server.uv[2][2] == "import", "what serves the app is tried"
    assert server.uv[2][3:] == ["gunicorn,", "uvicorn_worker"]
    again = transaction(server, Layout("hello"))
    mended(again, "r1")
    assert again.heard == []


def test_an_environment_whose_python_is_gone_is_built_for_the_one_that_is_there(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    it, before = transaction(server, Layout("hello")), venv(server)
    server.unlink("/usr/bin/python3")
    assert not Shelf(server, Layout("hello")).whole("r1")
    assert Shelf(server, Layout("hello")).present() == ["r1"], "it can be gone back to all the same"
    monkeypatch.setattr("hostwright.remote.release.mend.platform", lambda: ("3.13.5", "x86_64"))
    monkeypatch.setattr("hostwright.remote.release.venv.platform", lambda: ("3.13.5", "x86_64"))
    mended(it, "r1")
    assert venv(server) != before
    assert told(it) == ["venv: rebuilt with the versions that r1 had: the server has Python 3.13.5 now"]


def test_what_cannot_be_built_again_leaves_the_release_as_it_was(server: Server) -> None:
    it, before = transaction(server, Layout("hello")), venv(server)
    server.remove_tree(f"{ROOT}/venvs/{before}")
    server.failing = "error: Failed to fetch: `https://index.invalid/`\n dns error"
    with pytest.raises(StepError, match="the environment could not be made") as error:
        mended(it, "r1")
    assert "dns error" in "".join(error.value.tail)
    assert venv(server) == before
    assert [event.event for event in it.heard][-1] == "step_failed"


def test_without_a_lock_nothing_can_be_built(server: Server) -> None:
    it, before = transaction(server, Layout("hello")), venv(server)
    server.remove_tree(f"{ROOT}/venvs/{before}")
    server.unlink(f"{ROOT}/releases/r1/requirements.lock")
    with pytest.raises(StepError, match="the environment of r1 is damaged, and nothing tells its packages"):
        mended(it, "r1")
    assert Shelf(server, Layout("hello")).damaged() == {"r1": "venv/bin/python"}


def test_what_still_answers_requests_is_never_changed(server: Server) -> None:
    it, before = transaction(server, Layout("hello"), "r1"), venv(server)
    server.put(f"{ROOT}/venvs/{before}/more", "")
    mended(it, "r1")
    assert (venv(server), it.heard) == (before, [])


# -- code --------------------------------------------------------------------------------------------------------------


class Checkout:
    """A release of a commit, with a shared directory, on real files."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        original = Layout.__init__

        def elsewhere(layout: Layout, app: str) -> None:
            original(layout, app)
            layout.root = str(tmp_path)
            layout.repository, layout.trees = layout.root + "/repo.git", layout.root + "/trees"
            layout.releases, layout.shared = layout.root + "/releases", layout.root + "/shared"
            layout.venvs = layout.root + "/venvs"

        monkeypatch.setattr(Layout, "__init__", elsewhere)
        monkeypatch.setattr("hostwright.remote.release.mend._mend_environment", lambda it, release: None)
        self.system, self.layout = Plain(), Layout("hello")
        self.folder = tmp_path / "releases" / "r1"
        self.folder.mkdir(parents=True)
        for name in ("trees", "shared/uploads"):
            (tmp_path / name).mkdir(parents=True)
        work = Work(tmp_path / "work")
        self.commit = work.commit()
        self.repository = Repository(self.system, self.layout.repository)
        self.repository.create()
        self.repository.receive(self.commit, [pack(work, self.commit)])
        self.store = Store(self.system, self.layout.trees)
        links = {"uploads": self.layout.shared + "/uploads"}
        self.name = ensure_tree(
            self.system, self.repository, self.store, self.repository.tree(self.commit), links
        ).name
        self.lead(self.name)

    def lead(self, name: str) -> None:
        self.name = name
        about = {"id": "r1", "tree": name, "commit": self.commit}
        (self.folder / "release.json").write_text(json.dumps(about))
        (self.folder / "code").unlink(missing_ok=True)
        (self.folder / "code").symlink_to(f"../../trees/{name}/app")

    @property
    def tree(self) -> Path:
        return Path(self.store.folder(self.name))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    return Checkout(tmp_path, monkeypatch)


def test_damaged_code_is_written_again_beside_it(checkout: Checkout) -> None:
    it = transaction(checkout.system, checkout.layout)
    mended(it, "r1")
    assert it.heard == []
    (checkout.tree / "app" / "main.py").write_text("")
    mended(it, "r1")
    assert told(it) == ["tree: rebuilt, 1 file was missing or changed: app/main.py"]
    assert (checkout.folder / "code").readlink() == Path(f"../../trees/{checkout.name}-r1/app")
    assert (checkout.folder / "code" / "main.py").read_text() == "app = 1\n"
    assert (checkout.folder / "code" / ".." / "uploads").readlink().name == "uploads"
    assert json.loads((checkout.folder / "release.json").read_text())["tree"] == f"{checkout.name}-r1"


def test_code_that_another_python_compiled_is_compiled_again(checkout: Checkout) -> None:
    older = checkout.name.replace(str(TAG), "cpython-30")
    (checkout.tree).rename(checkout.store.folder(older))
    Path(checkout.store.folder(checkout.name) + ".ok").rename(checkout.store.folder(older) + ".ok")
    newer = checkout.name
    checkout.lead(older)
    it = transaction(checkout.system, checkout.layout)
    mended(it, "r1")
    assert told(it)[0].startswith("tree: compiled for Python 3.")
    assert (checkout.folder / "code").readlink() == Path(f"../../trees/{newer}/app")


def test_damaged_code_whose_commit_is_gone(checkout: Checkout) -> None:
    (checkout.tree / "app" / "main.py").write_text("")
    checkout.repository.git("update-ref", "-d", f"refs/hostwright/{checkout.commit}")
    with pytest.raises(
        StepError, match=r"the code of r1 is damaged: 1 file was missing .*: app/main\.py"
    ) as error:
        mended(transaction(checkout.system, checkout.layout), "r1")
    assert error.value.hint == f"inv deploy --ref {checkout.commit} makes it anew."


def test_damaged_code_that_a_build_command_made(checkout: Checkout) -> None:
    built = f"{checkout.repository.tree(checkout.commit)}-{TAG}-0123456789abcdef"
    checkout.tree.rename(checkout.store.folder(built))
    Path(checkout.store.folder(checkout.name) + ".ok").rename(checkout.store.folder(built) + ".ok")
    checkout.lead(built)
    it = transaction(checkout.system, checkout.layout)
    mended(it, "r1")
    (checkout.tree / "app" / "main.py").write_text("")
    with pytest.raises(StepError, match="the code of r1 is damaged"):
        mended(it, "r1")
