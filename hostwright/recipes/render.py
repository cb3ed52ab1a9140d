"""Templates. The only module that knows Jinja2."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hostwright.errors import RenderError
from hostwright.inventory.trusted import require_trusted
from hostwright.recipes.overrides import FOLDER

if TYPE_CHECKING:
    from jinja2 import Environment


class Render(Protocol):
    """Fills in a template."""

    def __call__(self, template: str, /, **names: Any) -> str:
        """The text of a template such as `nginx/site.conf.j2`, with these names.

        Raises:
            RenderError: no such template, it does not parse, or it uses a name nobody gave it.
        """

    def has(self, template: str, /) -> bool:
        """Is there a template of this name?"""


def templates() -> Path:
    """Our own templates: in the installed package, or in the checkout."""
    packaged = Path(str(resources.files("hostwright"))) / "_data" / "templates"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "templates"


@cache
def renderer(project: Path) -> Render:
    """Renders a project's templates: its own `templates/` first, ours otherwise.

    Args:
        project: the folder that holds inventory.yaml.

    A template of the project that others may write, or another user's, is a UsageError when it is used.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    class Trusted(FileSystemLoader):
        """Templates of the project that nobody else could have written: they become root's files on servers."""

        def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
            source, filename, uptodate = super().get_source(environment, template)
            own = project / FOLDER
            path = Path(filename)
            if path.is_relative_to(own):
                # whoever may write a folder may put another file into the place of ours
                folders = [folder for folder in path.parents if folder.is_relative_to(own)]
                for one in (path, *folders):
                    require_trusted(one, os.environ)
            return source, filename, uptodate

    environment = Environment(
        loader=Trusted([project / FOLDER, templates()]),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
    )

    return Templates(environment, project)


class Templates:
    """The templates of a project.

    Args:
        environment: finds and parses them.
        project: the folder that holds inventory.yaml.
    """

    def __init__(self, environment: Environment, project: Path) -> None:
        self._environment = environment
        self._project = project

    def has(self, template: str, /) -> bool:
        """Is there a template of this name?"""
        from jinja2 import TemplateNotFound

        try:
            self._environment.loader.get_source(self._environment, template)  # type: ignore[union-attr]
        except TemplateNotFound:
            return False
        return True

    def __call__(self, template: str, /, **names: Any) -> str:
        """The text of a template, with these names.

        Raises:
            RenderError
        """
        from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError, UndefinedError

        try:
            return self._environment.get_template(template).render(**names)
        except TemplateNotFound as error:
            raise RenderError(
                f"there is no template {error.name}", hint=f"Looked in {self._project}/templates."
            ) from error
        except TemplateSyntaxError as error:
            where = f"{error.filename or error.name}:{error.lineno}"
            raise RenderError(f"{where}: {error.message}") from error
        except UndefinedError as error:
            given = ", ".join(sorted(names)) or "nothing"
            raise RenderError(
                f"{place(error, template)}: {error.message}",
                hint=f"{template} is given: {given} (docs/templates.md).",
            ) from error
        except TemplateError as error:
            raise RenderError(f"{template}: {error}") from error


def place(error: BaseException, template: str) -> str:
    """file:line of the template in which an error was raised."""
    where, trace = template, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(".j2"):
            where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where
