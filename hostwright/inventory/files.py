"""Directories of an app that nginx serves, and those that outlive its releases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from hostwright.inventory.fields import RepositoryPath, as_tuple, no_repeats, nothing_is_empty
from hostwright.inventory.frozen import FrozenDict
from hostwright.inventory.written import describe

URL_PATH = re.compile(r"(/(?!\.\.?(/|\Z))[A-Za-z0-9_.~-]+)+\Z")


def check_url_path(value: str) -> str:
    """The beginning of a URL's path; a slash at its end means nothing. It ends up in nginx's configuration."""
    value = value.removesuffix("/")
    if not URL_PATH.match(value):
        raise ValueError(f"expected the beginning of a URL's path, such as /static, {describe(value)}")
    return value


def check_directory(value: str) -> str:
    """A directory below the app's own."""
    if value == ".":
        raise ValueError("expected a directory below the app's own, not all of it")
    return value


def check_shared(values: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, and none inside another."""
    for value in no_repeats(values):
        inside = next((other for other in values if value.startswith(other + "/")), None)
        if inside:
            raise ValueError(f'"{value}" is in "{inside}", which is shared already')
    return values


Directory = Annotated[RepositoryPath, AfterValidator(check_directory)]
Static = Annotated[
    Mapping[Annotated[str, AfterValidator(check_url_path)], Directory],
    BeforeValidator(nothing_is_empty),
    AfterValidator(FrozenDict),
]
Shared = Annotated[tuple[Directory, ...], BeforeValidator(as_tuple), AfterValidator(check_shared)]
