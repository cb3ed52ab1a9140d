"""An application: where its code comes from and how it runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from hostwright.errors import InventoryError, UsageError
from hostwright.inventory.environment import Variables, read_env_file, resolve_variables
from hostwright.inventory.fields import (
    BodySize,
    CommandLine,
    ControllerPath,
    Domain,
    Module,
    Ref,
    RepositoryPath,
    Requirements,
    as_tuple,
    controller_path,
    matching,
    no_repeats,
    nothing_is_empty,
    plain,
    seconds,
    whole_number,
)
from hostwright.inventory.files import Shared, Static
from hostwright.inventory.frozen import FrozenDict, Settings
from hostwright.inventory.nginx import Nginx
from hostwright.inventory.process import Processes, Timers
from hostwright.inventory.sandbox import Limits, SandboxSettings
from hostwright.inventory.secret import Secret
from hostwright.inventory.tls import Tls
from hostwright.inventory.written import describe

GIT_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9_.-]+:")


def _check_source(value: str, info: ValidationInfo) -> str:
    """A git URL as it is, or an absolute path."""
    plain(value)
    if not GIT_URL.match(value):
        if value.startswith("-") or "::" in value:
            raise ValueError(f"expected a path or a git URL, {describe(value)}")
        return str(controller_path(value, info))
    scheme, separator, rest = value.partition("://")
    login = rest.partition("/")[0].rpartition("@")[0]
    if login and (scheme.startswith("http") or ":" in login):  # not shown: it is a secret
        raise ValueError(
            "holds a password or token, which process lists would show: use a deploy key with git@host:path"
        )
    if separator and scheme not in ("https", "ssh", "file"):
        raise ValueError(f"expected https://, ssh://, git@host:path or file://, {describe(value)}")
    if re.search(r"\s", value) or re.match(r"-|[^/]*@-", rest) or (not separator and ":-" in value):
        raise ValueError(f"expected a git URL, {describe(value)}")
    return value


class HealthCheck(Settings):
    """How a new release proves that it works before it takes traffic."""

    path: Annotated[str, matching(r"/[!-~]*", "a path", "/health")] = Field(
        default="/health", description="Path to ask for, with the app's first domain as Host."
    )
    expect: Annotated[int, Field(ge=100, le=599), BeforeValidator(whole_number(100, 599))] = Field(
        default=200, description="HTTP status that means healthy."
    )
    timeout: Annotated[float, Field(ge=1, le=3600), BeforeValidator(seconds(1, 3600))] = Field(
        default=30, description="Seconds until a release that is not healthy is given up."
    )
    window: Annotated[float, Field(ge=0, le=3600), BeforeValidator(seconds(0, 3600))] = Field(
        default=2, description="Seconds the release must stay healthy."
    )
    interval: Annotated[float, Field(ge=0.05, le=60), BeforeValidator(seconds(0.05, 60))] = Field(
        default=0.2, description="Seconds between two requests."
    )

    contains: Annotated[str, AfterValidator(plain)] | None = Field(
        default=None,
        description="Text that the answer must hold; {commit} and {release} stand for those of the release.",
    )

    @model_validator(mode="after")
    def _window_fits(self) -> HealthCheck:
        if self.window >= self.timeout:
            raise ValueError(
                f"window ({self.window:g} s) must be shorter than timeout ({self.timeout:g} s), "
                "or no release could pass"
            )
        return self


class AppSettings(Settings):
    """An app as it stands in the file."""

    source: Annotated[str, AfterValidator(_check_source)] = Field(
        default=".",
        description="A checkout on this machine, relative to this file, or a git URL that the server clones.",
    )
    ref: Ref | None = Field(
        default=None, description="Branch, tag or commit to deploy. Omit for what is checked out, or HEAD."
    )
    directory: RepositoryPath = Field(
        default=".", description="Where in the repository the app's import root is."
    )
    module: Module = Field(description="What to serve: package.module:attribute, e.g. app.main:app.")
    interface: Literal["asgi", "wsgi"] = Field(
        default="asgi", description="asgi: FastAPI, Starlette, Litestar. wsgi: Flask, Django."
    )
    requirements: Requirements = Field(
        default="requirements.txt",
        description="The requirements file, or the pyproject.toml with a uv.lock beside it.",
    )
    domains: Annotated[tuple[Domain, ...], BeforeValidator(as_tuple), AfterValidator(no_repeats)] = Field(
        default=(),
        description="Names the app answers to. None: it answers to every name and the bare address.",
    )
    tls: Tls | None = Field(
        default=None,
        description="Where its certificate comes from. Omit for what the host says, else Let's Encrypt where all "
        "domains are public, else off.",
    )
    health: Annotated[HealthCheck, BeforeValidator(nothing_is_empty)] = Field(
        default=HealthCheck(), description="The health check."
    )
    release_command: CommandLine | None = Field(
        default=None,
        description="Run once on the new code before it takes traffic, e.g. a migration. No shell runs it.",
    )
    release_command_timeout: Annotated[float, Field(ge=1, le=86400), BeforeValidator(seconds(1, 86400))] = (
        Field(default=1800, description="Seconds the release command may take.")
    )
    build_command: CommandLine | None = Field(
        default=None,
        description="Run once where the code is built, e.g. python manage.py collectstatic --noinput. What it "
        "writes into the app's directory belongs to the release.",
    )
    static: Static = Field(
        default_factory=FrozenDict,
        description='What nginx serves itself: URL path to a directory of the app, e.g. {"/static": static}.',
    )
    shared: Shared = Field(
        default=(),
        description="Directories of the app that outlive releases and that it may write, e.g. [uploads].",
    )
    processes: Processes = Field(
        default_factory=FrozenDict,
        description='What runs beside the web server, e.g. {worker: "celery -A app worker"}.',
    )
    timers: Timers = Field(
        default_factory=FrozenDict,
        description='Jobs at set times, e.g. {nightly: {command: ..., calendar: "*-*-* 03:00"}}.',
    )
    env: Variables = Field(
        default_factory=FrozenDict,
        description="The app's environment, NAME: value; for a local secret NAME: {from_env: NAME}.",
    )
    env_file: ControllerPath | None = Field(
        default=None,
        description="File of NAME=value lines, all secret, relative to this file. `env` wins over it.",
    )
    build_env: Variables = Field(
        default_factory=FrozenDict,
        description="Environment of the build alone, e.g. the credentials of a private package index.",
    )
    keep_releases: Annotated[int, Field(ge=1, le=1000), BeforeValidator(whole_number(1, 1000))] = Field(
        default=5, description="How many releases stay on the server for rollback."
    )
    workers: Annotated[int, Field(ge=1, le=512), BeforeValidator(whole_number(1, 512))] | None = Field(
        default=None,
        description="Worker processes. Omit to decide on the server by its processors and memory.",
    )
    drain: Annotated[float, Field(ge=0, le=86400), BeforeValidator(seconds(0, 86400))] = Field(
        default=30,
        description="Seconds that requests and WebSockets of the old release may take to end after a switch.",
    )
    switch: Literal["overlap", "restart"] = Field(
        default="overlap",
        description="overlap: the new release starts beside the old one, and no request is lost. restart: the old "
        "one stops first, for a server without memory for two; requests fail meanwhile.",
    )
    limits: Annotated[Limits, BeforeValidator(nothing_is_empty)] = Field(
        default=Limits(), description="Limits on memory, processes and processor time."
    )
    sandbox: Annotated[SandboxSettings, BeforeValidator(nothing_is_empty)] = Field(
        default=SandboxSettings(), description="What the app may do that is forbidden by default."
    )
    secrets: Literal["env", "credentials"] = Field(
        default="env",
        description="How the app gets its secret variables: env, or credentials: files in $CREDENTIALS_DIRECTORY "
        "that its children do not inherit (systemd 250 or newer).",
    )
    forward_agent: bool = Field(
        default=False, description="Whether the server fetches a git URL with your ssh agent."
    )
    client_max_body_size: BodySize = Field(
        default="25m", description='Largest request body, as nginx writes it, e.g. "25m"; "0" for no limit.'
    )
    nginx: Annotated[Nginx, BeforeValidator(nothing_is_empty)] = Field(
        default=Nginx(), description="How nginx serves the app."
    )

    @property
    def is_git_url(self) -> bool:
        """Whether the server clones the source itself; otherwise `source` is a path on this machine."""
        return GIT_URL.match(self.source) is not None

    @model_validator(mode="after")
    def _names_are_of_one(self) -> AppSettings:
        both = sorted(set(self.processes) & set(self.timers))
        if both:
            raise ValueError(f"processes and timers share their names, and {', '.join(both)} is in both")
        return self

    @model_validator(mode="after")
    def _canonical_is_a_domain(self) -> AppSettings:
        name = self.nginx.canonical
        if name and (name not in self.domains or name.startswith("*.")):
            known = ", ".join(domain for domain in self.domains if not domain.startswith("*.")) or "none"
            raise ValueError(f"nginx.canonical must be one of the domains ({known}), {describe(name)}")
        return self

    @model_validator(mode="after")
    def _agent_is_of_use(self) -> AppSettings:
        if self.forward_agent and not self.is_git_url:
            raise ValueError("forward_agent is only for a source that is a git URL")
        return self


class App(AppSettings):
    """An application of a loaded inventory. `source`, when a path, and `env_file` are absolute."""

    name: str
    # where variables stand in the file: {"env.TOKEN": "inventory.yaml:7:5  apps.hello.env.TOKEN"}
    places: Annotated[Mapping[str, str], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict, exclude=True, repr=False
    )

    @property
    def release_argv(self) -> tuple[str, ...]:
        """The release command's words; empty when there is none."""
        return tuple(shlex.split(self.release_command)) if self.release_command else ()

    @property
    def build_argv(self) -> tuple[str, ...]:
        """The build command's words; empty when there is none."""
        return tuple(shlex.split(self.build_command)) if self.build_command else ()

    def resolve_env(self, environ: Mapping[str, str], base: Path) -> dict[str, str | Secret]:
        """The app's environment: the env file's values, then `env` over them.

        Args:
            environ: this machine's environment, for {from_env: NAME}.
            base: what a relative `env_file` is relative to; in a loaded inventory it is absolute.

        Raises:
            InventoryError: everything at once: variables that are not set, an env file that is missing or
                not ours to trust, lines of it that cannot be read.
        """
        problems: list[str] = []
        values: dict[str, str | Secret] = {}
        if self.env_file is not None:
            try:
                values.update(read_env_file(base / self.env_file, environ))
            except InventoryError as error:
                problems.extend(error.problems)
            except UsageError as error:
                place = self.places.get("env_file", f"apps.{self.name}.env_file")
                problems.append(f"{place}: {error.message}" + (f". {error.hint}" if error.hint else ""))
        values.update(self._resolve("env", self.env, environ, problems))
        if problems:
            raise InventoryError(problems)
        return values

    def resolve_build_env(self, environ: Mapping[str, str]) -> dict[str, str | Secret]:
        """The environment of the build.

        Raises:
            InventoryError: all variables that are not set.
        """
        problems: list[str] = []
        values = self._resolve("build_env", self.build_env, environ, problems)
        if problems:
            raise InventoryError(problems)
        return values

    def _resolve(
        self, key: str, variables: Mapping[str, Any], environ: Mapping[str, str], problems: list[str]
    ) -> dict[str, str | Secret]:
        places = {
            name: self.places.get(f"{key}.{name}", f"apps.{self.name}.{key}.{name}") for name in variables
        }
        values, missing = resolve_variables(variables, environ, places)
        problems.extend(missing)
        return values
