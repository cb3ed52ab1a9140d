"""Runs cases one after the other; what fails in one ends neither the others nor the run."""

from __future__ import annotations

import importlib
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from benchmarks.model import Options, Result

# quick ones first: a machine that is not fit is seen early
CASES = ("listing", "noop", "catalog", "hosts", "fresh", "deploy", "dependency", "throughput")


class Case(Protocol):
    """A module of `benchmarks/cases`."""

    NAME: str
    TITLE: str

    def run(self, options: Options, say: Callable[[str], None]) -> Result:
        """Measure."""


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        case: its name.
        seconds: wall time.
        result: what it found; None when it failed.
        error: why it failed, with the traceback.
    """

    case: str
    seconds: float
    result: Result | None
    error: str = ""


def load(name: str) -> Case:
    """The module of a case."""
    return cast("Case", importlib.import_module(f"benchmarks.cases.{name}"))


def run(
    cases: Sequence[str],
    options: Options,
    say: Callable[[str], None],
    find: Callable[[str], Case] = load,
) -> list[Outcome]:
    """Run them in order.

    Args:
        cases: names.
        find: gives the module of a name.
    """
    return [_one(name, options, say, find) for name in cases]


def _one(name: str, options: Options, say: Callable[[str], None], find: Callable[[str], Case]) -> Outcome:
    began = time.monotonic()
    try:
        case = find(name)
        say(f"{case.NAME}: {case.TITLE}")
        result = case.run(options, lambda line: say(f"  {line}"))
    except Exception as error:
        say(f"{name} failed: {str(error)[-2000:]}")
        return Outcome(name, time.monotonic() - began, None, traceback.format_exc())
    for target in result.targets:
        say(f"  {'holds ' if target.holds else 'MISSED'} {target.text}: {target.figure:.2f}")
    return Outcome(name, time.monotonic() - began, result)
