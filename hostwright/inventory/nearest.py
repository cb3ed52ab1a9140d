"""The nearest valid name to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """` Did you mean "x"?` with the nearest of `names`, or the empty string when none is near."""
    by_folded = {name.casefold(): name for name in names}
    near = get_close_matches(word.casefold(), list(by_folded), n=1, cutoff=0.6)
    return f' Did you mean "{by_folded[near[0]]}"?' if near else ""
