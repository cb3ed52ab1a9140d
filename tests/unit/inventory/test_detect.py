from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostwright.inventory import Detected, detect, load, render_inventory
from hostwright.inventory.reserved import check_app_name
from hostwright.inventory.starter import app_name

ROOT = Path(__file__).parents[3]
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
FLASK = "import flask\napp = flask.Flask(__name__)\n"
DJANGO = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"

# files -> (framework, module, directory, requirements, health path)
REPOSITORIES: dict[str, tuple[dict[str, str], tuple[str, str | None, str, str | None, str]]] = {
    "one_file": (
        {"main.py": FASTAPI + "@app.get('/health')\ndef h(): ...\n", "requirements.txt": "fastapi\n"},
        ("fastapi", "main:app", ".", "requirements.txt", "/health"),
    ),
    "package": (
        {"shop/__init__.py": "", "shop/web.py": FASTAPI, "uv.lock": "", "pyproject.toml": "", "requirements.txt": ""},
        ("fastapi", "shop.web:app", ".", "pyproject.toml", "/"),
    ),
    "package_itself": (
        {"shop/__init__.py": FLASK + "@app.route('/healthz')\ndef h(): ...\n"},
        ("flask", "shop:app", ".", None, "/healthz"),
    ),
    "src_layout": (
        {"src/shop/__init__.py": "", "src/shop/main.py": FASTAPI, "pyproject.toml": "", "uv.lock": ""},
        ("fastapi", "shop.main:app", "src", "pyproject.toml", "/"),
    ),
    "folder_without_init": (
        {"app/main.py": FASTAPI, "requirements.txt": ""},
        ("fastapi", "main:app", "app", "requirements.txt", "/"),
    ),
    "namespace_package": (
        {"app/main.py": "from app.routes import x\n" + FASTAPI, "app/routes.py": "x = 1"},
        ("fastapi", "app.main:app", ".", None, "/"),
    ),
    "relative_imports": (
        {"app/main.py": "from .routes import x\n" + FASTAPI},
        ("fastapi", "app.main:app", ".", None, "/"),
    ),
    "backend_folder": (
        {"backend/app/__init__.py": "", "backend/app/main.py": FASTAPI, "backend/requirements.txt": ""},
        ("fastapi", "app.main:app", "backend", "backend/requirements.txt", "/"),
    ),
    "requirements_of_the_app_before_those_of_the_tools": (
        {"app/__init__.py": "", "app/main.py": FASTAPI, "app/requirements.txt": "", "requirements.txt": ""},
        ("fastapi", "app.main:app", ".", "app/requirements.txt", "/"),
    ),
    "factory": (
        {"shop/__init__.py": "from flask import Flask\ndef create_app(x=None):\n    a = Flask('x')\n    return a\n"},
        ("flask", "shop:create_app()", ".", None, "/"),
    ),
    "factory_that_needs_arguments": (
        {"shop/__init__.py": "from flask import Flask\ndef create_app(config):\n    return Flask('x')\n"},
        ("none", None, ".", None, "/"),
    ),
    "result_of_a_factory": (
        {
            "shop/__init__.py": "from flask import Flask\ndef create_app():\n    return Flask('x')\n",
            "wsgi.py": "from shop import create_app\napp = create_app()\n",
        },
        ("flask", "wsgi:app", ".", None, "/"),
    ),
    "django": (
        {
            "manage.py": "", "mysite/__init__.py": "", "mysite/wsgi.py": DJANGO,
            "mysite/asgi.py": DJANGO.replace("wsgi", "asgi"), "requirements/production.txt": "django",
            "mysite/urls.py": "urlpatterns = [path('health/', v)]",
        },
        ("django", "mysite.wsgi:application", ".", "requirements/production.txt", "/health/"),
    ),
    "litestar": (
        {"app.py": "from litestar import Litestar, get\napp: Litestar = Litestar([])\n"},
        ("litestar", "app:app", ".", None, "/"),
    ),
    "starlette_under_another_name": (
        {"server.py": "from starlette.applications import Starlette as S\nif True:\n    api = S()\n"},
        ("starlette", "server:api", ".", None, "/"),
    ),
    "only_when_run_as_a_script": (
        {"main.py": "from fastapi import FastAPI\nif __name__ == '__main__':\n    app = FastAPI()\n"},
        ("none", None, ".", None, "/"),
    ),
    "not_in_tests_or_environments": (
        {"tests/a.py": FASTAPI, "v/pyvenv.cfg": "", "v/a.py": FASTAPI, ".x/a.py": FASTAPI, "test_a.py": FASTAPI},
        ("none", None, ".", None, "/"),
    ),
    "names_that_cannot_be_imported": (
        {"my-app/main.py": FASTAPI, "run-it.py": FASTAPI},
        ("fastapi", "main:app", "my-app", None, "/"),
    ),
    "broken_files": (
        {"a.py": "def (", "b.py": "\0", "main.py": FASTAPI},
        ("fastapi", "main:app", ".", None, "/"),
    ),
    "only_requirements": (
        {"requirements.txt": "Django>=5\n"},
        ("django", None, ".", "requirements.txt", "/"),
    ),
    "empty": ({}, ("none", None, ".", None, "/")),
}  # fmt: skip


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


@pytest.mark.parametrize("name", REPOSITORIES)
def test_detect(name: str, tmp_path: Path) -> None:
    files, expected = REPOSITORIES[name]
    write(tmp_path, files)
    found = detect(tmp_path)
    assert (found.framework, found.module, found.directory, found.requirements, found.health_path) == expected
    assert found.interface == ("wsgi" if expected[0] in ("flask", "django") else "asgi")


@pytest.mark.parametrize("name", REPOSITORIES)
def test_what_is_written_loads_and_says_the_same(name: str, tmp_path: Path) -> None:
    files, (_, module, directory, requirements, health) = REPOSITORIES[name]
    write(tmp_path, files)
    (tmp_path / "inventory.yaml").write_text(render_inventory(detect(tmp_path), "My Shop"))
    app = load(tmp_path / "inventory.yaml", {}).apps["my-shop"]
    assert (app.module, app.directory) == (module or "main:app", directory)
    assert (app.requirements, app.health.path) == (requirements or "requirements.txt", health)
    assert app.source == str(tmp_path)


def test_our_own_sample_app() -> None:
    found = detect(ROOT)
    assert (found.module, found.directory, found.requirements) == (
        "app.main:app",
        ".",
        "app/requirements.txt",
    )
    assert found.health_path == "/health"


def test_nothing_is_run(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": f"open({str(tmp_path / 'ran')!r}, 'w')\n" + FASTAPI})
    assert detect(tmp_path).module == "main:app"
    assert not (tmp_path / "ran").exists()


def test_guesses_are_marked() -> None:
    text = render_inventory(Detected("none", None, "asgi", None, ".", "/", notes=("Look here.",)), "x1")
    lines = text.splitlines()
    assert "    module: main:app             # NOT FOUND: package.module:attribute" in lines
    assert "    requirements: requirements.txt # NOT FOUND" in lines
    assert "    health: {path: /}            # guess: no route made for it was found" in lines
    assert "# Note: Look here." in lines
    text = render_inventory(Detected("flask", "a.b:app", "wsgi", "r.txt", "src", "/ping"), "x1")
    assert "    interface: wsgi              # guess: flask" in text.splitlines()


def test_the_project_is_named_whatever_its_folder_is_called(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    path = tmp_path / "inventory.yaml"
    path.write_text(render_inventory(detect(tmp_path), "My Shop"))
    assert load(path, {}).project == "my-shop"


@pytest.mark.parametrize(
    ("framework", "module", "command"),
    [
        ("flask", "shop:create_app()", "flask --app shop db upgrade"),
        ("flask", None, "alembic upgrade head"),
        ("fastapi", "app.main:app", "alembic upgrade head"),
        ("django", "mysite.wsgi:application", "python manage.py migrate"),
    ],
)
def test_an_example_of_a_migration(framework: str, module: str | None, command: str) -> None:
    text = render_inventory(Detected(framework, module, "wsgi", "r.txt", ".", "/"), "x1")
    assert f"    # release_command: {command}\n" in text


def test_notes(tmp_path: Path) -> None:
    assert detect(tmp_path).notes == (
        "No requirements were found: `pip freeze > requirements.txt` is a start.",
    )
    write(tmp_path, {"Pipfile.lock": ""})
    assert detect(tmp_path).notes == ("Pipfile.lock is not read: `pipenv requirements > requirements.txt`.",)
    write(tmp_path, {"pyproject.toml": ""})
    assert detect(tmp_path).notes == (
        "pyproject.toml has no uv.lock beside it yet: run `uv lock` and commit it.",
    )
    write(tmp_path, {"uv.lock": ""})
    assert detect(tmp_path).notes == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My Shop", "my-shop"),
        ("nginx", "app-nginx"),
        ("2048", "web"),
        ("", "web"),
        ("été", "t"),
        ("systemd-x", "app-systemd-x"),
    ],
)
def test_app_names(text: str, name: str) -> None:
    assert app_name(text) == name


@given(st.text(max_size=60))
def test_every_name_becomes_a_valid_one(text: str) -> None:
    assert check_app_name(app_name(text))


@given(
    directory=st.from_regex(r"\w[\w .+@-]*", fullmatch=True),
    health=st.from_regex(r"/[!-~]*", fullmatch=True),
)
def test_odd_names_are_quoted(directory: str, health: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = Detected("none", "a:b", "asgi", f"{directory}/requirements.txt", directory, health)
    path = tmp_path_factory.getbasetemp() / "odd.yaml"
    path.write_text(render_inventory(found, "x1"), encoding="utf-8")
    app = load(path, {}).apps["x1"]
    assert (app.directory, app.requirements, app.health.path) == (
        directory, f"{directory}/requirements.txt", health,
    )  # fmt: skip
    assert json.loads(app.model_dump_json())["directory"] == directory
