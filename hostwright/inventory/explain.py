"""pydantic's errors as lines that name the place, what was expected and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from hostwright.inventory.nearest import did_you_mean
from hostwright.inventory.parse import Parsed, Path, Place, Problem, dotted
from hostwright.inventory.written import as_written, describe

PRIVATE = frozenset({"env", "build_env", "sudo_password", "hmac_key"})  # what stands there may be a secret


def explain(errors: Iterable[ErrorDetails], parsed: Parsed, model: type[BaseModel]) -> list[Problem]:
    """One problem for each error of `model`'s validation."""
    problems = []
    for error in errors:
        path = _path(error["loc"], error["type"], parsed)
        problems.append(
            Problem(_place(error, path, parsed), dotted(path) + _words(error, path, parsed, model))
        )
    return problems


def _path(location: Iterable[str | int], kind: str, parsed: Parsed) -> Path:
    """The error's path in the file: pydantic's without what names a branch of a union or `[key]`."""
    path: Path = ()
    parts = list(location)
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if (*path, part) in parsed.values or (last and kind in ("missing", "extra_forbidden")):
            path = (*path, part)
    return path


def _place(error: ErrorDetails, path: Path, parsed: Parsed) -> Place:
    """A value's place; a key's where the key is wrong; the owner's where something is missing."""
    if error["type"] == "missing":
        return parsed.keys.get(path[:-1]) or parsed.values.get(path[:-1], Place(1, 1))
    if error["type"] == "extra_forbidden" or error["loc"][-1:] == ("[key]",):
        return parsed.keys.get(path, Place(1, 1))
    return parsed.values.get(path, Place(1, 1))


def _words(error: ErrorDetails, path: Path, parsed: Parsed, model: type[BaseModel]) -> str:
    kind, value = error["type"], error["input"]
    if kind == "missing":
        owner = _model_at(model, path[:-1])
        about = owner.model_fields[str(path[-1])].description if owner else None
        return f"is missing. {about}" if about else "is missing"
    if kind == "extra_forbidden":
        owner = _model_at(model, path[:-1])
        return "unknown key." + _instead(str(path[-1]), _keys(owner) if owner else [])
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "string_type":
        return f"expected text, {_not_text(value, parsed.texts.get(path, ''))}"
    if kind == "bool_type":
        return f"expected true or false, {_got(value, path)}"
    if kind == "literal_error":
        choices = [
            part.strip().strip("'") for part in error["ctx"]["expected"].replace(" or ", ",").split(",")
        ]
        return f"expected {' or '.join(choices)}, {_got(value, path)}.{did_you_mean(str(value), choices)}"
    if kind in ("model_type", "dict_type", "mapping_type"):
        return f"expected a mapping (key: value), {_got(value, path)}"
    return error["msg"]


def _keys(model: type[BaseModel]) -> list[str]:
    """As they are written: `from` has another name in Python."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _instead(word: str, keys: list[str]) -> str:
    return did_you_mean(word, keys) or (f" The keys are: {', '.join(keys)}." if keys else "")


def _got(value: object, path: Path) -> str:
    private = isinstance(value, str) and PRIVATE.intersection(map(str, path))
    return "got something else (not shown)" if private else describe(value)


def _not_text(value: object, written: str) -> str:
    """YAML's surprises with unquoted text: `no` is false, 022 is 18, 1.10 is 1.1."""
    if isinstance(value, bool):
        same = written.lower() == str(value).lower()
        reads = "a boolean" if same else f"which YAML reads as {str(value).lower()}"
        return f'got {written}, {reads}: quote it, "{written}"'
    if isinstance(value, (int, float)):
        other = str(value + 0) != as_written(value)
        reads = f"which YAML reads as {value + 0}" if other else "a number"
        return f'got {as_written(value)}, {reads}: quote it, "{as_written(value)}"'
    return describe(value)


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model that checks what stands at `path`."""
    kind: Any = model
    for part in path:
        if isinstance(part, int):
            continue  # a list is as good as what is in it: _innermost
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            member = kind.model_fields.get(str(part))
            kind = member.annotation if member else None
        else:
            kind = next(iter(get_args(kind)[1:]), None)  # a mapping's values
        kind = _innermost(kind)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _innermost(kind: object) -> object:
    """A type without Annotated; of a union, the part that can hold keys."""
    while isinstance(getattr(kind, "__metadata__", None), tuple):
        kind = get_args(kind)[0]
    origin = get_origin(kind) or kind
    if isinstance(origin, type) and issubclass(origin, (BaseModel, Mapping)):
        return kind
    parts = [_innermost(part) for part in get_args(kind)]
    return next((part for part in parts if part is not None), None)
