"""What the app reads from its environment, checked once when it starts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(RuntimeError):
    """The environment does not allow the app to start. The message names each variable, never its value."""


class Settings(BaseSettings):
    """The operator's choices, from variables that begin with HELLO_."""

    model_config = SettingsConfigDict(env_prefix="HELLO_", frozen=True)

    greeting: str = Field(min_length=1, max_length=200)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Release(BaseSettings):
    """Which code this is. The deployment sets both; a developer's machine has neither."""

    model_config = SettingsConfigDict(env_prefix="HOSTWRIGHT_", frozen=True)

    release: str = "development"
    commit: str = "unknown"


def load_settings() -> Settings:
    """Read Settings from the environment.

    Raises:
        SettingsError: a variable is missing or has a value that makes no sense; all of them are named.
    """
    try:
        return Settings()  # type: ignore[call-arg]  # the environment gives the rest
    except ValidationError as error:
        problems = [
            f"HELLO_{problem['loc'][0]}".upper() + f" ({_reason(problem['type'], problem['msg'])})"
            for problem in error.errors()
        ]
    # outside the except block: a chained ValidationError would print the values, and those may be secret
    raise SettingsError("The app cannot start. Set in its environment: " + "; ".join(problems))


def _reason(kind: str, message: str) -> str:
    return "missing" if kind == "missing" else message
