"""The environment of an app: plain values, values taken from this machine's environment, and env files."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from hostwright.errors import InventoryError
from hostwright.inventory.fields import nothing_is_empty
from hostwright.inventory.frozen import FrozenDict, Settings
from hostwright.inventory.secret import Secret
from hostwright.inventory.trusted import display_name, read_trusted
from hostwright.inventory.written import as_written

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def check_name(name: str) -> str:
    """Return `name` when it can be an environment variable's; ValueError otherwise."""
    if not NAME.match(name):
        raise ValueError(
            f'"{name}" cannot be the name of an environment variable: letters, digits and underscores, '
            "not starting with a digit"
        )
    return name


def check_text(value: str) -> str:
    """Refuse what no environment can hold: NUL (environ(7)) and text that is not Unicode."""
    if "\0" in value:
        raise ValueError("an environment variable cannot hold a NUL character")
    if re.search("[\ud800-\udfff]", value):
        raise ValueError("is not valid Unicode text")
    return value


class FromEnv(Settings):
    """A secret read from the environment of the machine that runs `inv`, when it is needed."""

    from_env: Annotated[str, AfterValidator(check_name)] = Field(
        description="Name of the environment variable on the machine that runs inv."
    )

    def resolve(self, environ: Mapping[str, str]) -> Secret | None:
        """The value, or None when the variable is not set (an empty one is set)."""
        value = environ.get(self.from_env)
        return None if value is None else Secret(value)


def _as_text(value: object) -> object:
    """A number becomes what was written, 022 and 1.10 included; a boolean is refused later, as no text."""
    if value is None:
        raise ValueError('is empty: write "" for an empty value')
    if isinstance(value, (list, tuple)):
        raise ValueError("expected text, a number or {from_env: NAME}, got a list")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return as_written(value) if number else value


def text_or_reference(value: object) -> str:
    """Tells pydantic which of the two forms a value has, so that it reports the problems of only that one."""
    return "reference" if isinstance(value, (dict, FromEnv)) else "text"


VariableName = Annotated[str, AfterValidator(check_name)]
VariableValue = Annotated[
    Annotated[str, AfterValidator(check_text), Tag("text")] | Annotated[FromEnv, Tag("reference")],
    Discriminator(text_or_reference),
    BeforeValidator(_as_text, json_schema_input_type=str | int | float | FromEnv),
]
Variables = Annotated[
    Mapping[VariableName, VariableValue], BeforeValidator(nothing_is_empty), AfterValidator(FrozenDict)
]


def resolve_variables(
    variables: Mapping[str, str | FromEnv], environ: Mapping[str, str], places: Mapping[str, str]
) -> tuple[dict[str, str | Secret], list[str]]:
    """Look every reference up in `environ`.

    Args:
        places: for each variable, where it stands, e.g. `inventory.yaml:7:5  apps.hello.env.TOKEN`.

    Returns: the values, and a problem line for each variable that is not set.
    """
    values: dict[str, str | Secret] = {}
    problems = []
    for name, value in variables.items():
        found = value.resolve(environ) if isinstance(value, FromEnv) else value
        if found is None and isinstance(value, FromEnv):
            problems.append(
                f"{places.get(name, name)}: the environment variable {value.from_env} is not set here"
            )
        elif found is not None:
            values[name] = found
    return values, problems


def read_env_file(path: Path, environ: Mapping[str, str]) -> dict[str, Secret]:
    """Read `NAME=value` lines as python-dotenv does, without interpolation; every value is a secret.

    Raises:
        InventoryError: every line that cannot be read, by number and never by content.
        UsageError: the file is missing or is not ours to trust.
    """
    from dotenv.parser import parse_stream

    values: dict[str, Secret] = {}
    problems = []
    shown = display_name(path)
    for binding in parse_stream(io.StringIO(read_trusted(path, environ))):
        line = f"{shown}:{binding.original.line}"
        if binding.error:
            problems.append(f"{line}  expected NAME=value")
        elif binding.key is None:
            continue  # an empty line or a comment
        elif not NAME.match(binding.key):
            problems.append(f"{line}  not the name of an environment variable: letters, digits, underscores")
        elif binding.value is None:
            problems.append(f"{line}  {binding.key} has no value; for an empty one write {binding.key}=")
        elif "\0" in binding.value:
            problems.append(f"{line}  {binding.key} holds a NUL character")
        else:
            values[binding.key] = Secret(binding.value)
    if problems:
        raise InventoryError(problems)
    return values
