"""`inv test` runs all parts, and ends with what failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.tasks.suite import Part, Suite

GOOD, BAD = "def test_good(): pass\n", "def test_bad():\n    assert 'left' == 'right'\n"
IN_A_CLASS = """\
import pytest
class TestIt:
    @pytest.mark.parametrize("x", ["a b", "1"])
    def test_it(self, x): assert x == "1"
"""
BROKEN = "import pytest\n@pytest.fixture\ndef f(): raise OSError('no server')\ndef test_f(f): pass\n"


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """A repository with two parts."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return Suite(tmp_path)


def part(suite: Suite, name: str, **files: str) -> Part:
    folder = suite._root / name
    folder.mkdir()
    for file, text in files.items():
        (folder / f"test_{name}_{file}.py").write_text(text)
    return Part(name, (name,))


def test_all_parts_run_and_what_failed_comes_last(suite: Suite, capfd: pytest.CaptureFixture[str]) -> None:
    suite.run([part(suite, "one", a=GOOD + BAD, b=IN_A_CLASS, c=BROKEN), part(suite, "two", a=GOOD)])
    assert suite.summary() == 1
    printed = capfd.readouterr().out
    assert "\ntwo: two\n" in printed
    lines = [line.split("  ")[0] if "  " in line else line for line in printed.splitlines()[-5:]]
    assert lines == [
        "one",
        "two",
        "FAILED one/test_one_a.py::test_bad - AssertionError: assert 'left' == 'right'",
        "FAILED one/test_one_b.py::TestIt::test_it[a b] - AssertionError: assert 'a b' == '1'",
        'FAILED one/test_one_c.py::test_f - failed on setup with "OSError: no server"',
    ]
    assert "2 passed, 2 failed, 1 broken" in printed.splitlines()[-5]


def test_a_part_of_which_nothing_is_selected_is_no_failure(suite: Suite) -> None:
    parts = [part(suite, "one", a=GOOD), part(suite, "two", a=BAD)]
    suite.run(parts, select="test_good")
    assert suite.summary() == 0
    assert [outcome.counted for outcome in suite.outcomes] == ["1 passed", "no tests"]


def test_nothing_selected_at_all(suite: Suite, capfd: pytest.CaptureFixture[str]) -> None:
    suite.run([part(suite, "one", a=GOOD)], select="nothing_like_it")
    assert suite.summary() == 1
    assert capfd.readouterr().out.endswith("No test was selected.\n")


def test_exitfirst_runs_nothing_after_a_failure(suite: Suite) -> None:
    parts = [part(suite, "one", a=BAD, b=BAD), part(suite, "two", a=GOOD)]
    suite.run(parts, exitfirst=True)
    assert suite.summary() == 1
    assert [outcome.counted for outcome in suite.outcomes] == ["1 failed"]


def test_a_part_that_cannot_run(suite: Suite, capfd: pytest.CaptureFixture[str]) -> None:
    suite.run([Part("one", ("nowhere",)), part(suite, "two", a=GOOD)])
    assert suite.summary() == 1
    assert "pytest ended with exit code 4, see above" in capfd.readouterr().out
    assert suite.outcomes[-1].counted == "1 passed"
