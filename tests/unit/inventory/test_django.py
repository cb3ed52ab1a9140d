"""What `inv init` makes of a Django project's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.inventory import detect, load, render_inventory
from hostwright.inventory.django import COLLECT, MIGRATE, READ_ONLY

WSGI = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
BASE = "from pathlib import Path\nBASE_DIR = Path(__file__).resolve().parent.parent\n"


def project(folder: Path, settings: str, at: str = "mysite/settings.py", **more: str) -> Path:
    files = {"manage.py": "", "mysite/__init__.py": "", "mysite/wsgi.py": WSGI, at: BASE + settings, **more}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("settings", "static"),
    [
        ('STATIC_URL = "static/"\nSTATIC_ROOT = BASE_DIR / "staticfiles"\n', (("/static", "staticfiles"),)),
        ('STATIC_URL = "/assets/"\nSTATIC_ROOT = os.path.join(BASE_DIR, "a", "b")\n', (("/assets", "a/b"),)),
        ('STATIC_ROOT = BASE_DIR.joinpath("public") / "static"\n', (("/static", "public/static"),)),
        # served elsewhere, and still collected
        ('STATIC_URL = "https://cdn.test/s/"\nSTATIC_ROOT = BASE_DIR / "s"\n', ()),
    ],
)
def test_static_files_are_collected_and_served(
    tmp_path: Path, settings: str, static: tuple[tuple[str, str], ...]
) -> None:
    found = detect(project(tmp_path, settings))
    assert (found.django.build_command, found.django.static) == (COLLECT, static)
    assert found.django.release_command == MIGRATE
    (tmp_path / "inventory.yaml").write_text(render_inventory(found, "shop"))
    app = load(tmp_path / "inventory.yaml", {}).apps["shop"]
    assert (app.build_command, dict(app.static), app.release_command) == (COLLECT, dict(static), MIGRATE)


@pytest.mark.parametrize(
    "settings",
    [
        "",
        'STATIC_ROOT = os.environ["STATIC_ROOT"]\n',
        'STATIC_ROOT = "/var/www/static"\n',
        'STATIC_ROOT = BASE_DIR.parent / "static"\n',
        "STATIC_ROOT = BASE_DIR / NAME\n",
        'STATIC_ROOT = BASE_DIR / ".." / "x"\n',
        "STATIC_ROOT = BASE_DIR\n",
        "STATIC_ROOT = join()\n",
    ],
)
def test_what_cannot_be_known_is_not_guessed(tmp_path: Path, settings: str) -> None:
    found = detect(project(tmp_path, settings))
    assert (found.django.build_command, found.django.static) == ("", ())
    assert "static:" not in render_inventory(found, "shop")


def test_settings_of_production_win(tmp_path: Path) -> None:
    project(tmp_path, 'STATIC_ROOT = BASE_DIR / "a"\n', at="mysite/settings/base.py")
    (tmp_path / "mysite/settings/production.py").write_text('STATIC_ROOT = BASE_DIR / "b"\n')
    assert detect(tmp_path).django.static == (("/static", "b"),)


def test_a_project_in_a_folder(tmp_path: Path) -> None:
    project(tmp_path / "backend", 'STATIC_ROOT = BASE_DIR / "s"\n')
    found = detect(tmp_path)
    assert (found.directory, found.django.static) == ("backend", (("/static", "s"),))


@pytest.mark.parametrize(
    ("databases", "migrates"),
    [
        ('{"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}', False),
        ('{"default": {"ENGINE": "sqlite3", "NAME": os.path.join(BASE_DIR, "db.sqlite3")}}', False),
        ('{"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DB"]}}', True),
        ('{"default": {"NAME": "shop", **MORE}}', True),
        ("dj_database_url.config()", True),
    ],
)
def test_a_database_in_the_code_is_not_migrated(tmp_path: Path, databases: str, migrates: bool) -> None:
    found = detect(project(tmp_path, f"DATABASES = {databases}\n"))
    assert (found.django.release_command, READ_ONLY in found.notes) == (MIGRATE * migrates, not migrates)
    text = render_inventory(found, "shop")
    assert ("# Note: The SQLite database lies in the code" in text) == (not migrates)
    assert ("    # release_command: python manage.py migrate\n" in text) == (not migrates)


def test_without_manage_py_nothing_is_said(tmp_path: Path) -> None:
    project(tmp_path, 'STATIC_ROOT = BASE_DIR / "s"\n')
    (tmp_path / "manage.py").unlink()
    found = detect(tmp_path)
    assert (found.framework, found.django.build_command, found.django.release_command) == ("django", "", "")
