"""Requirement files: what is understood, what is refused."""

from __future__ import annotations

import pytest

from hostwright.remote.release.requirements import Problem, logical_lines, normal, parse, without


def of(text: str, **files: str) -> dict[str, bytes]:
    return {
        "requirements.txt": text.encode(),
        **{f"{name}.txt": body.encode() for name, body in files.items()},
    }


HASHED = "flask==3.1.3 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nclick==8.1 --hash=sha256:cc  # by flask\n"

# text, names, hashed
FILES = [
    ("", set(), True),
    ("# nothing\n\n", set(), True),
    (HASHED, {"flask", "click"}, True),
    (HASHED + "gunicorn\n", {"flask", "click", "gunicorn"}, False),
    ("Flask_SQLAlchemy[asyncio]>=3 ; python_version > '3.9'", {"flask-sqlalchemy"}, False),
    ("uvicorn[standard]", {"uvicorn"}, False),
    ("zope.interface~=6.0", {"zope-interface"}, False),
    ("pkg @ git+https://example.invalid/x.git@main", {"pkg"}, False),
    ("https://example.invalid/x-1.0-py3-none-any.whl", set(), False),
    ("git+https://example.invalid/x.git#egg=x", set(), False),
    ("--require-hashes\nflask==3 --hash=sha256:aa", {"flask"}, True),
    ("--index-url https://index.invalid/simple\nflask", {"flask"}, False),
    ("\ufeffflask\r\nclick\r\n", {"flask", "click"}, False),
]


@pytest.mark.parametrize(("text", "names", "hashed"), FILES)
def test_names_and_hashes(text: str, names: set[str], hashed: bool) -> None:
    found = parse(of(text).get, "requirements.txt")
    assert (found.names, found.hashed, found.local) == (names, hashed, [])


LOCAL = [
    "-e .",
    "--editable=./lib",
    "./lib",
    "../shared",
    "lib/x",
    "x @ file:///srv/x",
    "x @ ./x",
    "x.whl",
    "/abs",
]


@pytest.mark.parametrize("line", LOCAL)
def test_paths_are_told_with_their_place(line: str) -> None:
    found = parse(of(f"flask\n# why\n{line}\n").get, "requirements.txt")
    if line == "x.whl":  # a name with a dot: an index would be asked, and say no
        assert found.names == {"flask", "x-whl"}
    else:
        assert found.local == [("requirements.txt:3", line)]


def test_nested_files_are_read_in_their_place() -> None:
    files = of("-r deps/base.txt\nclick\n")
    files["deps/base.txt"] = b"flask\n-r more.txt\n"
    files["deps/more.txt"] = b"jinja2\n"
    assert parse(files.get, "requirements.txt").lines == ["flask", "jinja2", "click"]


def test_constraints_need_a_resolver() -> None:
    files = of("flask==3 --hash=sha256:aa\n-c constraints.txt\n", constraints="click<9\n")
    found = parse(files.get, "requirements.txt", "/srv/hello/trees/k")
    assert not found.hashed
    assert found.lines[-1] == "-c /srv/hello/trees/k/constraints.txt"


def test_paths_in_options_hold_elsewhere() -> None:
    found = parse({"app/r.txt": b"--find-links wheels\nflask\n"}.get, "app/r.txt", "/tree")
    assert found.text == "--find-links /tree/app/wheels\nflask\n"


PROBLEMS = [
    (of("-r nothing.txt"), "requirements.txt: there is no nothing.txt in this commit"),
    (of("-c nothing.txt"), "requirements.txt:1: there is no nothing.txt in this commit"),
    (of("-r more.txt", more="-r requirements.txt"), "more.txt: it includes itself through requirements.txt"),
    ({"requirements.txt": b"fl\xffask"}, "requirements.txt: it is not UTF-8 text"),
    ({}, "requirements.txt: there is no requirements.txt in this commit"),
]


@pytest.mark.parametrize(("files", "message"), PROBLEMS)
def test_problems(files: dict[str, bytes], message: str) -> None:
    with pytest.raises(Problem) as error:
        parse(files.get, "requirements.txt")
    assert error.value.message == message


def test_logical_lines() -> None:
    assert logical_lines("a \\\n  b\n# c \\\nd # e\nf#g\n\\\nh") == [
        (1, "a b"),
        (4, "d"),
        (5, "f#g"),
        (6, "h"),
    ]


def test_what_is_left_without_some_packages() -> None:
    text = "--index-url x\nflask==3 \\\n  --hash=sha256:aa\nGunicorn==27 --hash=sha256:bb\n"
    assert without(text, {"flask"}) == "Gunicorn==27 --hash=sha256:bb\n"


def test_normal_names() -> None:
    assert normal("Flask__SQL.Alchemy-x") == "flask-sql-alchemy-x"
