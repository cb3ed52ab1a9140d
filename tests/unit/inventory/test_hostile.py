"""Whatever stands in a file: the exact value arrives, or there is an error that names its place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from hostwright.errors import InventoryError, UsageError
from hostwright.inventory import App, Inventory, load

TEXT = st.text(max_size=80) | st.from_regex(r"[a-z./@:;$(){}&|<>`'\"\\ \n-]{0,40}", fullmatch=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile") / "inventory.yaml"


def loaded(file: Path, text: str) -> Inventory | None:
    try:
        # surrogates cannot be written as they are; YAML's escapes can name them
        file.write_text(text, encoding="utf-8", errors="replace", newline="")
        return load(file, {})
    except UsageError as error:
        told = error
    problems = told.problems if isinstance(told, InventoryError) else (told.message,)
    for problem in problems:
        assert re.match(rf"{re.escape(str(file))}:\d+(:\d+)?  ?\S", problem), problem
        assert "\n" not in problem
    return None


@given(st.text(max_size=200))
@example("{" * 50)
@example("a: &a [*a]")
@example("\ufeff\ufeff")
@example("? ? ?")
@example("- - - -\n- -")
@example("a: !!float x")
@example("a: 0x_")
@example("a: 0b_")
@example("a: 08")
@example("a: 1:2:")
@example("a: .")
@example("<<: {a: 1}")
@example("<<: [[]]")
@example("hosts: {<<: null}")
@example("a: =\n=: b")
@example("[]: {}: x")
@example("hosts: {~: ~}")
@example("hosts: [~]")
@example("apps: {a: ~, b: [], c: 1}")
def test_any_text(file: Path, text: str) -> None:
    loaded(file, text)


KEYS = (
    *("defaults", "apps", "groups", "hosts", "env", "health", "domains", "module", "source"),
    *("user", "port", "address", "jump", "hostwright", "project", "x"),
)
YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT.filter(lambda text: text.isprintable()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@given(YAML)
def test_any_structure(file: Path, data: object) -> None:
    loaded(file, yaml.safe_dump(data, allow_unicode=True))


def app_with(file: Path, key: str, value: object) -> App | None:
    inventory = loaded(file, json.dumps({"apps": {"x1": {"module": "a:b", key: value}}}))
    return inventory.apps["x1"] if inventory else None


@given(TEXT)
@example("a\nb")
@example("$(id); `id` ${HOME}")
def test_environment_values_arrive_as_they_are(file: Path, value: str) -> None:
    app = app_with(file, "env", {"A": value})
    if app is None:
        assert "\0" in value
    else:
        assert app.env["A"] == value


def test_half_a_character(file: Path) -> None:
    file.write_text('apps: {x1: {module: "a:b", env: {A: "x\\ud800", "\\udc00": b}}}\n')
    with pytest.raises(InventoryError) as caught:
        load(file, {})
    assert [problem.partition("  ")[2] for problem in caught.value.problems] == [
        "apps.x1.env.A: is not valid Unicode text",
        "apps.x1.env: is not valid Unicode text",
    ]


@given(TEXT)
@example("--upload-pack=id")
@example("a b")
@example("a\n")
def test_refs(file: Path, value: str) -> None:
    app = app_with(file, "ref", value)
    if app is not None:
        assert app.ref == value
        assert not re.search(r"[\s\0-\x1f~^:?*\[\\]|\.\.|^-", value)


@given(TEXT)
@example("../x")
@example("/x")
@example("a/../../b")
@example("-x")
def test_directories_stay_inside(file: Path, value: str) -> None:
    app = app_with(file, "directory", value)
    if app is not None:
        inside = Path("/repo") / app.directory
        assert ".." not in inside.parts
        assert inside.is_relative_to("/repo")
        assert not re.search(r"[\0-\x1f\x7f]", app.directory)


@given(TEXT)
@example("a.example.com\n")
@example("a.example.com; return 200")
@example("$host")
def test_domains_are_plain(file: Path, value: str) -> None:
    app = app_with(file, "domains", [value])
    if app is not None:
        assert re.fullmatch(r"(\*\.)?[a-z0-9.-]+", app.domains[0])


@given(TEXT)
@example("a:b\n")
def test_modules_are_plain(file: Path, value: str) -> None:
    app = app_with(file, "module", value)
    if app is not None:
        assert re.fullmatch(r"[A-Za-z0-9_.]+:[A-Za-z0-9_.]+(\(\))?", app.module)


@given(TEXT)
@example("sh -c 'a && b'")
@example("a '' \"b c\"")
@example("# comment")
def test_commands_are_words(file: Path, value: str) -> None:
    app = app_with(file, "release_command", value)
    if app is not None:
        assert app.release_argv
        assert all("\n" not in word and "\0" not in word for word in app.release_argv)


@given(TEXT)
@example("~0")
def test_sources_are_urls_or_paths(file: Path, value: str) -> None:
    app = app_with(file, "source", value)
    if app is not None:
        assert app.is_git_url or Path(app.source).is_absolute()
        assert not app.source.startswith("-")


@given(TEXT)
@example("app")
def test_names_of_apps(file: Path, name: str) -> None:
    inventory = loaded(file, json.dumps({"apps": {name: {"module": "a:b"}}}))
    if inventory is not None and inventory.apps:
        assert re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name)


@given(st.text(alphabet="01234567:_.exb+-", max_size=12))
def test_numbers_arrive_as_written_or_not_at_all(file: Path, value: str) -> None:
    inventory = loaded(
        file, f"apps: {{x1: {{module: 'a:b', env: {{A: {value} }}}}}}\nhosts: {{h: {{port: {value} }}}}"
    )
    if inventory is not None and inventory.apps:
        assert inventory.apps["x1"].env["A"] == value.strip()
        assert str(inventory.hosts["h"].port) == value.strip().removeprefix("+")
