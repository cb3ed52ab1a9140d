"""What every model of the inventory is built on: nothing in a loaded inventory changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict

Key = TypeVar("Key")
Value = TypeVar("Value")


class Settings(BaseModel):
    """Base of the models: frozen, no guessing of types, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


class FrozenDict(dict[Key, Value]):
    """A dict that refuses changes and can be hashed. Raises TypeError when changed.

    Not `MappingProxyType`: pydantic cannot write that out without a warning.
    """

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("a loaded inventory does not change")

    __setitem__ = __delitem__ = _refuse
    clear: Callable[..., NoReturn] = _refuse
    pop: Callable[..., NoReturn] = _refuse
    popitem: Callable[..., NoReturn] = _refuse
    setdefault: Callable[..., NoReturn] = _refuse
    update: Callable[..., NoReturn] = _refuse
    __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)
