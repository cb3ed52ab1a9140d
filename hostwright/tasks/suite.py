"""`inv test`: the parts of this repository's test suite, and one summary of what failed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

# pytest's exit codes: https://docs.pytest.org/en/stable/reference/exit-codes.html
FAILED, NO_TESTS = 1, 5
# tests of servers mostly wait; those of a file share its servers. Files go in the order they are collected in
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
    ("lint-imports", "--no-logo"),
)


@dataclass(frozen=True)
class Part:
    """Tests that one pytest runs.

    Attributes:
        name: for the summary.
        argv: what pytest gets.
    """

    name: str
    argv: tuple[str, ...]


UNIT = (Part("unit", ("tests/unit", *SIDE_BY_SIDE)), Part("app", ("app/tests",)))
MACHINE = (
    Part("machine", ("tests/machine", "-m", "not alone and not soak and not long", *SIDE_BY_SIDE)),
    Part("alone", ("tests/machine", "-m", "alone and not soak and not long")),
)
LONG = (Part("long", ("tests/machine", "-m", "long and not soak", *SIDE_BY_SIDE)),)


@dataclass(frozen=True)
class Outcome:
    """How a part ended.

    Attributes:
        name: of the part.
        code: pytest's exit code, or 1 for checks that found something.
        seconds: how long it took.
        counted: "12 passed, 1 skipped", or what the part has to say instead.
        failed: what failed, with the first line of why.
    """

    name: str
    code: int
    seconds: float
    counted: str
    failed: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing failed; that none of its tests was selected is no failure."""
        return self.code in (0, NO_TESTS)


class Suite:
    """Runs checks and parts one after the other; each prints as it goes.

    Args:
        root: of the repository.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.outcomes: list[Outcome] = []

    def check(self) -> None:
        """Lint, format, types, import contracts."""
        began = time.monotonic()
        failed = tuple(" ".join(argv) for argv in CHECKS if tool(self._root, *argv))
        counted = f"{len(CHECKS) - len(failed)} of {len(CHECKS)} are content"
        self.outcomes.append(Outcome("checks", bool(failed), time.monotonic() - began, counted, failed))

    def run(self, parts: Sequence[Part], *, select: str = "", exitfirst: bool = False) -> None:
        """Run parts. All of them, unless `exitfirst`: then none after the first failure.

        Args:
            select: only tests whose name matches, as pytest -k takes it.
        """
        options = (*(("-k", select) if select else ()), *(("--exitfirst",) if exitfirst else ()))
        for part in parts:
            if exitfirst and not self.ok:
                return
            print(f"\n{part.name}: {part.argv[0]}")
            outcome = self._pytest(part, options)
            self.outcomes.append(outcome)

    @property
    def ok(self) -> bool:
        """Nothing failed so far."""
        return all(outcome.ok for outcome in self.outcomes)

    def summary(self) -> int:
        """Say how each part ended, then what failed, as pytest takes it. Returns the exit code."""
        print()
        for outcome in self.outcomes:
            print(f"{outcome.name:8}  {outcome.counted:40}  {outcome.seconds:6.0f} s")
        tests = [part for part in self.outcomes if part.name != "checks"]
        if tests and all(part.code == NO_TESTS for part in tests):
            print("No test was selected.")
            return 1
        for outcome in self.outcomes:
            for line in outcome.failed:
                print(f"FAILED {line}")
        return 0 if self.ok else 1

    def _pytest(self, part: Part, options: Sequence[str]) -> Outcome:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.xml")
            # xunit1 has the file of each test
            written = ("-q", "-o", "junit_family=xunit1", f"--junit-xml={report}")
            code = tool(self._root, sys.executable, "-m", "pytest", *part.argv, *written, *options)
            seconds = time.monotonic() - began
            if not report.exists():
                return Outcome(part.name, code, seconds, ended(code))
            suite = ElementTree.parse(report).getroot().find("testsuite")  # noqa: S314 - we had it written
            assert suite is not None
            said = counted(suite) if code in (0, FAILED, NO_TESTS) else ended(code)
            return Outcome(part.name, code, seconds, said, tuple(failures(suite)))


def ended(code: int) -> str:
    """What to say of a part that pytest could not run to its end."""
    return f"pytest ended with exit code {code}, see above"


def tool(root: Path, *argv: str) -> int:
    """Run a tool of the environment in the repository; its output goes to the terminal."""
    sys.stdout.flush()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    env = {**os.environ, "PATH": path}
    return subprocess.run(argv, cwd=root, env=env, stdin=subprocess.DEVNULL, check=False).returncode


WORDS = {"failed": "failures", "broken": "errors", "skipped": "skipped"}


def counted(suite: ElementTree.Element) -> str:
    """ "12 passed, 1 skipped" of a JUnit report."""
    numbers = {word: int(suite.get(key, 0)) for word, key in WORDS.items()}
    numbers = {"passed": int(suite.get("tests", 0)) - sum(numbers.values()), **numbers}
    return ", ".join(f"{number} {word}" for word, number in numbers.items() if number) or "no tests"


def failures(suite: ElementTree.Element) -> Iterator[str]:
    """What pytest takes to run a test again, and the first line of why, for each that failed."""
    for case in suite.iter("testcase"):
        found = case.find("failure")
        if found is None:
            found = case.find("error")
        if found is not None:
            why = next(iter((found.get("message") or "").splitlines()), "")
            yield f"{test_id(case)} - {why[:100]}".removesuffix(" - ")


def test_id(case: ElementTree.Element) -> str:
    """FILE::[CLASS::]TEST; the classname is the module, with the class where there is one."""
    file, name = case.get("file") or "", case.get("name") or ""
    module = file.removesuffix(".py").replace("/", ".")
    inner = (case.get("classname") or "").removeprefix(module).strip(".")
    return "::".join(filter(None, (file, *inner.split("."), name)))
