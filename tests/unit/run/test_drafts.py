"""Drafts are made in threads, kept, and not begun once nobody wants them."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from hostwright.errors import RenderError
from hostwright.run.drafts import AT_ONCE, Drafts


@dataclass(frozen=True)
class Named:
    """As much of a host as drafts look at."""

    name: str


def test_each_host_gets_its_own_and_as_often_as_wanted() -> None:
    made = []

    def make(host: Named) -> str:
        made.append(host.name)
        return f"for {host.name}"

    with Drafts(make, [Named("a"), Named("b")]) as drafts:  # type: ignore[list-item, arg-type]
        assert Named("a") in drafts
        assert Named("c") not in drafts
        assert [drafts.of(Named(name)) for name in "bab"] == ["for b", "for a", "for b"]  # type: ignore[arg-type]
    assert sorted(made) == ["a", "b"]


def test_they_are_made_before_somebody_asks() -> None:
    made = threading.Event()
    with Drafts(lambda _: made.set(), [Named("a")]):  # type: ignore[list-item]
        assert made.wait(10)


def test_an_error_is_raised_where_the_draft_is_wanted() -> None:
    def make(host: Named) -> str:
        raise RenderError(f"no template for {host.name}")

    with Drafts(make, [Named("a")]) as drafts:  # type: ignore[list-item, arg-type]
        with pytest.raises(RenderError, match="no template for a"):
            drafts.of(Named("a"))  # type: ignore[arg-type]


def test_what_is_not_begun_at_the_end_never_is() -> None:
    go, begun = threading.Event(), []

    def make(host: Named) -> None:
        begun.append(host.name)
        go.wait(10)

    with Drafts(make, [Named(str(number)) for number in range(20)]):  # type: ignore[list-item, arg-type]
        pass
    go.set()
    assert len(begun) <= AT_ONCE
