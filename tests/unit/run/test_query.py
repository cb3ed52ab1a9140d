"""What is said beside the answers."""

from __future__ import annotations

from hostwright.remote import events
from hostwright.run.query import Answers


def test_a_failure_stands_under_its_host() -> None:
    said: list[str] = []
    answers = Answers(lambda host, line: None, said.append)
    answers.event("web1", events.StepFailed("prepare", "nothing was deployed yet", 0.1, hint="inv deploy"))
    answers.event("web1", events.StepFailed("prepare", "it broke", 0.1, tail=("line",)))
    assert said == ["web1  nothing was deployed yet\n  inv deploy", "web1  it broke\n  | line"]


def test_answers_lines_and_words_have_their_places() -> None:
    said: list[str] = []
    lines: list[tuple[str, str]] = []
    answers = Answers(lambda host, line: lines.append((host, line)), said.append)
    answers.event("web1", events.Answered({"a": 1}))
    answers.event("web1", events.Output("stdout", "hello"))
    answers.event("web1", events.Noticed("look"))
    assert (answers.data, lines, said) == ({"web1": {"a": 1}}, [("web1", "hello")], ["web1  look"])
