"""Environment files, read back by the rules of systemd.exec(5) EnvironmentFile=."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostwright.remote.release.environment import differences, environment_file, kept, told, variables

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def as_systemd_reads(text: str) -> dict[str, str]:
    """NAME="value" lines: a backslash unquotes `"`, itself, backquote and `$`, eats a newline, else stays."""
    values, at = {}, 0
    while at < len(text):
        equals = text.index("=", at)
        name = text[at:equals]
        assert text[equals + 1] == '"', "a value that is not quoted follows other rules"
        at, value = equals + 2, ""
        while text[at] != '"':
            if text[at] == "\\":
                at += 1
                value += text[at] if text[at] in '"\\`$' else "" if text[at] == "\n" else "\\" + text[at]
            else:
                value += text[at]
            at += 1
        assert text[at + 1] == "\n"
        values[name] = value
        at += 2
    return values


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_every_value_arrives_as_it_is(values: dict[str, str]) -> None:
    assert as_systemd_reads(environment_file(values)) == values
    assert variables(environment_file(values)) == values


def test_awkward_values() -> None:
    values = {
        "PASSWORD": "p$a`s\\s\"w'o#r;d",
        "LINES": "one\ntwo\\\nthree\n",
        "SPACE": "  around  ",
        "EMPTY": "",
        "PERCENT": "100%h",
        "JSON": '{"a": "b\\n"}',
        "COMMENT": "# not one",
    }
    assert as_systemd_reads(environment_file(values)) == values


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "A\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of an environment variable"):
        environment_file({name: "x"})


def test_a_value_that_no_environment_can_hold_is_not_shown() -> None:
    with pytest.raises(ValueError, match="TOKEN holds a NUL character") as error:
        environment_file({"TOKEN": "s3cret\0"})
    assert "s3cret" not in str(error.value)


NOW = {"A": "1", "B": "2", "HOSTWRIGHT_RELEASE": "r1", "HOSTWRIGHT_COMMIT": "c1"}
THEN = {"B": "3", "C": "4", "HOSTWRIGHT_RELEASE": "r2", "HOSTWRIGHT_COMMIT": "c2"}


def test_what_differs_is_told_by_name_alone() -> None:
    assert told(differences(NOW, THEN)) == "environment: A gone, B changed, C new"
    assert told(differences(NOW, {**NOW, "HOSTWRIGHT_RELEASE": "r9"})) == "environment as it was"


def test_todays_variables_for_another_release() -> None:
    assert kept(NOW, THEN) == {"A": "1", "B": "2", "HOSTWRIGHT_RELEASE": "r2", "HOSTWRIGHT_COMMIT": "c2"}
