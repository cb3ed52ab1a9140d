"""Folders that are complete or not there, and what is done about damage."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hostwright.remote.release import manifest
from hostwright.remote.release.tree import Kept, Store, key_of, tree_of

from .test_git import Plain


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with the folder `key`: two files, a link, a folder."""
    found = Store(Plain(), str(tmp_path))
    folder = Path(found.begin("key"))
    (folder / "bin").mkdir()
    (folder / "bin" / "run").write_text("#!/bin/sh\n")
    (folder / "bin" / "run").chmod(0o755)
    (folder / "link").symlink_to("bin/run")
    (folder / "data").write_bytes(b"x" * 100)
    found.finish("key")
    return found


def age(path: Path) -> None:
    """Another hand does its work in another second."""
    os.utime(path, (time.time() + 5, time.time() + 5), follow_symlinks=False)


def remove(folder: Path) -> None:
    (folder / "data").unlink()


def open_up(folder: Path) -> None:
    (folder / "data").chmod(0o666)


def relink(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("data")


def rewrite(folder: Path) -> None:
    (folder / "data").write_bytes(b"y" * 100)
    age(folder / "data")


def remove_folder(folder: Path) -> None:
    (folder / "bin/run").unlink()
    (folder / "bin").rmdir()


def run_something(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/x.pyc").write_text("")


DAMAGE: list[tuple[Callable[[Path], object], list[str]]] = [
    (lambda folder: None, []),
    (remove, ["data"]),
    (lambda folder: (folder / "data").write_bytes(b""), ["data"]),
    (rewrite, ["data"]),
    (open_up, ["data"]),
    (relink, ["link"]),
    (lambda folder: (folder / "more").write_text("by hand"), ["more"]),
    (remove_folder, ["bin", "bin/run"]),
    (run_something, []),
]


@pytest.mark.parametrize(("harm", "paths"), DAMAGE)
def test_damage_is_seen(store: Store, harm: Callable[[Path], object], paths: list[str]) -> None:
    harm(Path(store.folder("key")))
    assert store.damage("key") == paths
    assert store.find("key") == (("", paths) if paths else ("key", []))


def test_the_good_one_is_built_beside_it_and_found_from_then_on(store: Store) -> None:
    Path(store.folder("key"), "data").unlink()
    assert store.free("key") == "key-r1"
    store.begin("key-r1")
    store.finish("key-r1")
    assert store.find("key") == ("key-r1", [])
    assert store.complete() == ["key", "key-r1"]
    store.remove("key")
    assert store.find("key") == ("key-r1", [])
    (Path(store.folder("key-r1")) / "more").write_text("")
    assert store.find("key") == ("", ["more"])
    assert store.free("key") == "key"


def test_other_keys_do_not_count(store: Store) -> None:
    assert store.find("ke") == store.find("key-r") == ("", [])


def test_a_mark_of_an_older_version_is_believed_and_completed(store: Store) -> None:
    mark = Path(store.path, "key.ok")
    mark.write_bytes(manifest.UNVERIFIED)
    assert store.find("key") == ("key", [])
    Path(store.folder("key"), "data").unlink()
    assert store.find("key") == ("", ["data"])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": 3}'])
def test_a_mark_that_is_damaged_itself(store: Store, content: bytes) -> None:
    Path(store.path, "key.ok").write_bytes(content)
    assert store.find("key") == ("", ["its list of files"])


def test_what_the_disk_does_not_give_back_is_damage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Plain, path: str) -> dict[str, str]:
        raise OSError(5, "Input/output error", path + "/bin")

    monkeypatch.setattr(Plain, "walk", fails)
    assert store.find("key") == ("", [store.folder("key") + "/bin"])


def test_names_that_are_awkward(store: Store) -> None:
    folder = Path(store.begin("odd"))
    names = [b"new\nline", b"\xff\xfe", "ü".encode(), b" "]
    for name in names:
        (folder / os.fsdecode(name)).write_text("")
    store.finish("odd")
    assert store.find("odd") == ("odd", [])
    (Path(store.folder("odd")) / os.fsdecode(names[1])).unlink()
    assert store.find("odd") == ("", [os.fsdecode(names[1])])


def test_what_a_release_leads_to_is_not_torn_when_its_mark_is_lost(store: Store) -> None:
    Path(store.path, "key.ok").unlink()
    assert store.clean({"key"}) == []
    assert store.find("key") == ("", [])
    assert store.free("key") == "key-r1"
    assert store.clean() == ["key"]


def test_five_thousand_files_cost_little(tmp_path: Path) -> None:
    store = Store(Plain(), str(tmp_path))
    folder = Path(store.begin("key"))
    for number in range(100):
        (folder / f"package{number}").mkdir()
        for file in range(50):
            (folder / f"package{number}" / f"module{file}.py").touch()
    store.finish("key")
    best = 9.0
    for _ in range(5):
        start = time.process_time()  # of this process: what else runs here does not count
        assert store.damage("key") == []
        best = min(best, time.process_time() - start)
    print(f"5,000 files: {best * 1000:.0f} ms")
    assert best < 0.1


def test_what_is_said() -> None:
    assert Kept("key", True).detail("resolved") == "reused"
    assert Kept("key", False).detail("resolved") == "resolved"
    assert Kept("key-r1", False, ["a"]).detail("resolved") == "rebuilt, 1 file was missing or changed: a"
    said = Kept("key-r1", False, ["a", "b", "c", "d"]).detail("resolved")
    assert said == "rebuilt, 4 files were missing or changed: a, b, c, ..."


def test_names() -> None:
    assert key_of("abc-cpython-311-r12") == key_of("abc-cpython-311") == "abc-cpython-311"
    assert tree_of("abc-cpython-311-r12") == "abc"
