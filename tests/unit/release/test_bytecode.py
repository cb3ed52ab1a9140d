"""Bytecode of a new environment: taken where its source is the same, compiled where not; by a real Python."""

from __future__ import annotations

import importlib.util
import py_compile
import subprocess
import sys
from pathlib import Path

from hostwright.remote.release import bytecode

MODE = py_compile.PycInvalidationMode.UNCHECKED_HASH
SITE = "lib/python3/site-packages/package"
MARK = b"what only the old one has"


def source(venv: Path, name: str, text: str) -> Path:
    """A source in an environment."""
    path = venv / SITE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def made(path: Path) -> Path:
    """Where its bytecode is."""
    return Path(importlib.util.cache_from_source(str(path)))


def compiled(path: Path) -> Path:
    """Compile it as uv does; what comes behind the code is passed over, and tells whose file it is."""
    py_compile.compile(str(path), doraise=True, invalidation_mode=MODE)
    found = made(path)
    found.write_bytes(found.read_bytes() + MARK)
    return found


def run(old: Path, new: Path) -> None:
    subprocess.run(bytecode.command(str(old), str(new)), check=True, timeout=60, capture_output=True)


def test_taken_where_the_source_is_the_same(tmp_path: Path) -> None:
    there = compiled(source(tmp_path / "old", "same.py", "A = 1\n"))
    same = source(tmp_path / "new", "same.py", "A = 1\n")
    run(tmp_path / "old", tmp_path / "new")
    assert made(same).read_bytes() == there.read_bytes()
    assert made(same).stat().st_ino != there.stat().st_ino, "a file of its own"


def test_compiled_where_it_changed_or_is_new(tmp_path: Path) -> None:
    compiled(source(tmp_path / "old", "changed.py", "A = 1\n"))
    paths = [source(tmp_path / "new", "changed.py", "A = 2\n"), source(tmp_path / "new", "new.py", "B = 1\n")]
    run(tmp_path / "old", tmp_path / "new")
    for path in paths:
        content = made(path).read_bytes()
        assert MARK not in content
        assert content[4:8] == bytes((1, 0, 0, 0)), "never checked against the source, as uv makes it"
        assert content[8:16] == importlib.util.source_hash(path.read_bytes())


def test_what_another_python_or_another_way_made_is_not_taken(tmp_path: Path) -> None:
    there = compiled(source(tmp_path / "old", "a.py", "A = 1\n"))
    there.write_bytes(b"\0\0\r\n" + there.read_bytes()[4:])
    py_compile.compile(
        str(source(tmp_path / "old", "b.py", "B = 1\n")),
        invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP,
    )
    paths = [
        source(tmp_path / "new", name, text) for name, text in (("a.py", "A = 1\n"), ("b.py", "B = 1\n"))
    ]
    run(tmp_path / "old", tmp_path / "new")
    for path in paths:
        assert made(path).read_bytes()[:4] == importlib.util.MAGIC_NUMBER
        assert made(path).read_bytes()[4:8] == bytes((1, 0, 0, 0))


def test_many_are_compiled_at_once_and_what_does_not_compile_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    bad = source(tmp_path / "new", "bad.py", "def :\n")
    paths = [source(tmp_path / "new", f"m{number}.py", f"A = {number}\n") for number in range(60)]
    run(tmp_path / "old", tmp_path / "new")
    assert all(made(path).is_file() for path in paths)
    assert not made(bad).exists()


def test_it_runs_with_the_python_that_compiles_for_the_app(tmp_path: Path) -> None:
    assert bytecode.command("/a", "/b")[0] == sys.executable
