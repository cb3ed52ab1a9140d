"""Django and Flask as their tutorials write them: builds, static files, uploads, and what nginx must not serve."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostwright.sandbox import Sandbox, Server

from .project import Project, sh

IMMUTABLE = "public, max-age=31536000, immutable"
HOUR = "public, max-age=3600"

# -- Django ----------------------------------------------------------------------------------------------------

MANAGE = """\
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
"""
WSGI = """\
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")

application = get_wsgi_application()
"""
SETTINGS = """\
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split(",")
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "mysite.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
WSGI_APPLICATION = "mysite.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "assets"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
URLS = """\
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.templatetags.static import static
from django.urls import path


def index(request):
    return HttpResponse("%s %d users" % (static("site.css"), User.objects.count()))


urlpatterns = [path("admin/", admin.site.urls), path("health/", index), path("", index)]
"""
DJANGO = {
    "manage.py": MANAGE,
    "mysite/__init__.py": "",
    "mysite/settings.py": SETTINGS,
    "mysite/urls.py": URLS,
    "mysite/wsgi.py": WSGI,
    "assets/site.css": "body { color: green; }\n",
    "requirements.txt": "django>=4.2,<6\n",
    ".gitignore": "staticfiles/\n",
}
DJANGO_INVENTORY = """\
project: site
defaults: {{user: ubuntu, identity_file: {identity}, hardening: off}}
apps:
  site:
    module: mysite.wsgi:application
    interface: wsgi
    requirements: requirements.txt
    workers: 2
    build_command: python manage.py collectstatic --noinput
    static: {{/static: staticfiles}}
    shared: [data/db]
    release_command: python manage.py migrate --noinput
    health: {{path: /health/, window: 0.2, timeout: 30}}
    env:
      SECRET_KEY: "not $HOME, not a secret either"
      ALLOWED_HOSTS: {address}
      DATABASE: /srv/site/shared/data/db/site.sqlite3
hosts:
  web1: {{address: {address}}}
"""

# -- Flask -----------------------------------------------------------------------------------------------------

FLASK = """\
import os

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index():
    return "one"


@app.post("/upload")
def upload():
    for file in request.files.values():
        os.makedirs("uploads/new", exist_ok=True)
        file.save(os.path.join("uploads/new", os.path.basename(file.filename)))
    return "taken"


@app.post("/link")
def link():
    os.symlink(request.args["to"], "uploads/link")
    return "linked"
"""
FLASK_INVENTORY = """\
project: gallery
defaults: {{user: ubuntu, identity_file: {identity}, hardening: off}}
apps:
  gallery:
    module: gallery:app
    interface: wsgi
    requirements: requirements.txt
    workers: 2
    static: {{/static: static, /media: uploads}}
    shared: [uploads, static/made]
    health: {{path: /, window: 0.2, timeout: 30}}
hosts:
  web1: {{address: {address}}}
"""


def project(folder: Path, server: Server, name: str, inventory: str, files: dict[str, str]) -> Project:
    found = Project(folder, server, name=name, app=name)
    shutil.rmtree(found.folder / "app")
    text = inventory.format(identity=server.identity_file, address=server.address)
    for path, content in {**files, "inventory.yaml": text}.items():
        (found.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (found.folder / path).write_text(content)
    found.commit("first")
    return found


class Answer:
    """What nginx says, with its headers."""

    def __init__(self, raw: str) -> None:
        head, _, self.body = raw.partition("\n\n")
        lines = head.splitlines()
        self.status = int(lines[0].split()[1])
        self.headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}


def ask(found: Project, path: str, *options: str) -> Answer:
    """A request whose path is sent as it is."""
    done = subprocess.run(
        ("curl", "-sSi", "-m", "20", "--path-as-is", *options, f"http://{found.server.address}{path}"),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return Answer(done.stdout)


@pytest.fixture(scope="module")
def site(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Django, deployed once."""
    name = f"django-{os.getpid()}"
    server = sandbox.up(name, ephemeral=True, say=print)[0]
    found = project(tmp_path_factory.mktemp("django"), server, "site", DJANGO_INVENTORY, DJANGO)
    found.inv("provision")
    print(found.inv("deploy").out)
    yield found
    sandbox.down(name)


def css(found: Project) -> str:
    """The URL of the style sheet that the live page names."""
    return ask(found, "/").body.split()[0]


def test_django(site: Project, sandbox: Sandbox) -> None:
    page = ask(site, "/")
    assert page.status == 200
    assert re.fullmatch(r"/static/site\.[0-9a-f]{12}\.css 0 users", page.body)
    style = ask(site, css(site))
    assert (style.status, style.body) == (200, DJANGO["assets/site.css"])
    assert style.headers["cache-control"] == IMMUTABLE
    plain = ask(site, "/static/site.css")
    assert (plain.status, plain.headers["cache-control"]) == (200, HOUR)
    # the admin's own files, through the manifest as well
    login = ask(site, "/admin/login/")
    assert login.status == 200
    found = re.findall(r'(?:href|src)="(/static/admin/[^"]+)"', login.body)
    assert len(found) > 3
    for url in found:
        answer = ask(site, url)
        assert (answer.status, answer.headers["cache-control"]) == (200, IMMUTABLE), url
    # by nginx, not by the app
    assert "X-Request-ID" not in style.headers
    assert sh(sandbox, site.server, "stat -c %a:%U:%G /srv/site/trees /srv/site/shared/data/db") == (
        "750:root:site\n2750:site:www-data"
    )
    assert "0 changed" in site.inv("provision").out
    # `inv run` has the same directories
    site.inv(
        "run", "python manage.py shell -c "
        "\"from django.contrib.auth.models import User; User.objects.create_user('ann')\"",
    )  # fmt: skip
    assert ask(site, "/").body.endswith(" 1 users")


def test_files_of_the_release_before_are_still_there(site: Project) -> None:
    before = css(site)
    (site.folder / "assets" / "site.css").write_text("body { color: red; }\n")
    site.commit("red")
    out = site.inv("deploy").out
    after = css(site)
    assert after != before
    assert "collectstatic" in out
    assert "red" in ask(site, after).body
    assert "green" in ask(site, before).body
    assert ask(site, before).headers["cache-control"] == IMMUTABLE
    site.inv("rollback")
    assert css(site) == before
    assert "green" in ask(site, before).body
    assert "red" in ask(site, after).body
    # the way forward has been built already
    assert re.search(r"build\s+.*reused", site.inv("deploy").out)
    assert css(site) == after


def test_a_build_that_fails_switches_nothing(site: Project) -> None:
    page = ask(site, "/").body
    (site.folder / "assets" / "broken.css").write_text("body { background: url(nothing.png); }\n")
    site.commit("broken")
    out = site.inv("deploy", code=1).out
    assert "the build command failed: python manage.py collectstatic --noinput (exit code 1)" in out
    assert "nothing.png" in out
    assert "nothing was switched" in out
    assert ask(site, "/").body == page
    site.git("revert", "--no-edit", "HEAD")
    # a setting that the build needs
    site.edit_inventory("SECRET_KEY", "ANOTHER_KEY")
    (site.folder / "mysite" / "urls.py").write_text(URLS + "# built again\n")
    site.commit("no key")
    assert "KeyError: 'SECRET_KEY'" in site.inv("deploy", code=1).out
    site.edit_inventory("ANOTHER_KEY", "SECRET_KEY")
    # what is to be served, and is not there
    site.edit_inventory("staticfiles", "statics")
    said = site.inv("deploy", code=1).out
    assert "static: there is no directory statics in this release" in said
    site.edit_inventory("statics", "staticfiles")
    site.inv("deploy")


def test_the_build_cannot_reach_what_is_not_its_own(site: Project, sandbox: Sandbox) -> None:
    script = (
        "exec >said.txt 2>&1; id -u; touch /srv/site/x; touch /srv/site/shared/data/db/x; cat /srv/site/current/env; "
        "ls /etc/hostwright; ln -s /etc/shadow staticfiles-link; env | sort > env.txt; mkdir -p staticfiles; "
        "ln -s /etc/passwd staticfiles/passwd; ln -s env.txt staticfiles/inside; touch staticfiles/env.txt; "
        "mkfifo pipe.py; python manage.py collectstatic --noinput"
    )
    site.edit_inventory("python manage.py collectstatic --noinput", f"sh -c '{script}'")
    (site.folder / "mysite" / "urls.py").write_text(URLS + "# built by a stranger\n")
    site.commit("strange")
    out = site.inv("deploy").out
    assert "not served, as they lead out of their directory: static/passwd" in out
    assert ask(site, "/static/passwd").status == 404
    assert ask(site, "/static/inside").status == 200
    code = "/srv/site/current/code"
    said = sh(sandbox, site.server, f"cat {code}/said.txt")
    assert int(said.split()[0]) > 60000, said  # DynamicUser=
    assert "/srv/site/x': Read-only file system" in said
    assert "shared/data/db/x': Permission denied" in said
    assert "env: Permission denied" in said
    variables = sh(sandbox, site.server, f"cat {code}/env.txt")
    assert "SECRET_KEY=not $HOME, not a secret either" in variables
    assert re.search(r"^PATH=/srv/site/venvs/[^:]+/bin:", variables, re.MULTILINE)
    assert sh(sandbox, site.server, f"find {code}/ ! -user root -o -type p; ls {code}/staticfiles-link") == (
        f"{code}/staticfiles-link"
    )
    site.edit_inventory(f"sh -c '{script}'", "python manage.py collectstatic --noinput")
    site.inv("deploy")


# -- Flask -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gallery(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Flask with uploads, deployed once."""
    name = f"flask-{os.getpid()}"
    server = sandbox.up(name, ephemeral=True, say=print)[0]
    files = {
        "gallery.py": FLASK, "requirements.txt": "flask\n", "uploads/.gitkeep": "", "static/app.js": "// one\n",
        "static/app.0123abcd.js": "// hashed\n", "static/jquery-validation.js": "// no hash\n",
        "static/index-B4xK29ab.js": "// vite\n", "static/.env": "SECRET\n", "secret.txt": "code\n",
    }  # fmt: skip
    found = project(tmp_path_factory.mktemp("flask"), server, "gallery", FLASK_INVENTORY, files)
    static = found.folder / "static"
    (static / "passwd").symlink_to("/etc/passwd")
    (static / "out").symlink_to("../secret.txt")
    (static / "in.js").symlink_to("app.js")
    found.commit("links")
    found.inv("provision")
    out = found.inv("deploy").out
    assert "not served, as they lead out of their directory: static/out, static/passwd" in out
    yield found
    sandbox.down(name)


def send(found: Project, name: str, content: str) -> None:
    path = found.home / name
    path.write_text(content)
    assert ask(found, "/upload", "-F", f"file=@{path}").body == "taken"


def test_uploads_outlive_releases(gallery: Project, sandbox: Sandbox) -> None:
    send(gallery, "cat.txt", "meow\n")
    answer = ask(gallery, "/media/new/cat.txt")
    assert (answer.status, answer.body) == (200, "meow\n")
    assert answer.headers["cache-control"] == HOUR
    assert answer.headers["x-content-type-options"] == "nosniff"
    (gallery.folder / "gallery.py").write_text(FLASK.replace('"one"', '"two"'))
    gallery.commit("two")
    gallery.inv("deploy")
    assert ask(gallery, "/").body == "two"
    assert ask(gallery, "/media/new/cat.txt").body == "meow\n"
    send(gallery, "dog.txt", "woof\n")
    gallery.inv("rollback")
    assert ask(gallery, "/").body == "one"
    assert ask(gallery, "/media/new/dog.txt").body == "woof\n"
    assert "dog.txt" in gallery.inv("run", "ls uploads/new").out
    # other apps may not read it, nginx may
    sh(sandbox, gallery.server, "useradd stranger")
    stranger = "setpriv --reuid=stranger --regid=stranger --clear-groups"
    for path in ("shared/uploads", "trees", "venvs", "current/code/", "current/venv/"):
        sh(sandbox, gallery.server, f"! {stranger} ls /srv/gallery/{path}")
    sh(sandbox, gallery.server, f"! {stranger} cat /srv/gallery/current/env")
    assert "0 changed" in gallery.inv("provision").out
    assert "0 do not" in gallery.inv("verify").out
    gallery.inv("deploy")


@pytest.mark.parametrize(
    ("path", "cache"),
    [
        ("/static/app.js", HOUR),
        ("/static/in.js", HOUR),
        ("/static/app.0123abcd.js", IMMUTABLE),
        ("/static/index-B4xK29ab.js", IMMUTABLE),
        ("/static/jquery-validation.js", HOUR),
    ],
)
def test_how_long_browsers_keep_it(gallery: Project, path: str, cache: str) -> None:
    answer = ask(gallery, path)
    assert (answer.status, answer.headers["cache-control"]) == (200, cache)
    assert ask(gallery, path, "-I").status == 200
    assert ask(gallery, path, "-X", "POST").status == 405
    assert ask(gallery, path, "-X", "DELETE").status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/static/passwd",
        "/static/out",
        "/static/.env",
        "/static/../gallery.py",
        "/static/..%2fgallery.py",
        "/static/%2e%2e/gallery.py",
        "/static/../../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/env",
        "/static//../../env",
        "/static../env",
        "/static../code/gallery.py",
        "/media/../../../env",
        "/media/.gitkeep",
        "/static/",
        "/static/made/",
        "/static/nothing.js",
        "/media/new",
    ],
)
def test_what_is_not_served(gallery: Project, path: str) -> None:
    answer = ask(gallery, path)
    assert answer.status in (400, 403, 404), answer.body
    assert "root:" not in answer.body


def test_the_app_cannot_make_nginx_read_other_files(gallery: Project, sandbox: Sandbox) -> None:
    for target in ("/etc/passwd", "/srv/gallery/current/release.json"):
        assert ask(gallery, f"/link?to={target}", "-X", "POST").body == "linked"
        assert ask(gallery, "/media/link").status in (403, 404)
        sh(sandbox, gallery.server, "rm /srv/gallery/shared/uploads/link")


def test_files_where_a_shared_directory_is_to_be(gallery: Project) -> None:
    (gallery.folder / "uploads" / "logo.png").write_text("png")
    gallery.commit("logo")
    said = gallery.inv("deploy", code=1).out
    assert "the app would not see uploads/logo.png" in said
    assert "git rm -r --cached uploads" in said
    gallery.git("rm", "--quiet", "uploads/logo.png")
    gallery.commit("no logo")
    gallery.inv("deploy")


def test_a_new_shared_directory_needs_no_provision(gallery: Project, sandbox: Sandbox) -> None:
    gallery.edit_inventory("shared: [uploads,", "shared: [thumbs/small, uploads,")
    gallery.inv("deploy")
    found = sh(sandbox, gallery.server, "cd /srv/gallery/shared; stat -c %a:%U:%G . thumbs thumbs/small")
    assert found.split() == ["755:root:root", "755:root:root", "2750:gallery:www-data"]
    assert sh(sandbox, gallery.server, "readlink /srv/gallery/current/code/thumbs/small") == (
        "/srv/gallery/shared/thumbs/small"
    )
    gallery.inv("run", "touch thumbs/small/x")
    # which would have made the same
    assert "0 changed" in gallery.inv("provision").out


def test_a_new_url_needs_one_and_is_told(gallery: Project) -> None:
    gallery.edit_inventory("/media: uploads}", "/media: uploads, /files: uploads}")
    assert "nginx does not serve /files yet; inv provision makes it do so" in gallery.inv("deploy").out
    assert ask(gallery, "/files/new/cat.txt").status == 404
    gallery.inv("provision")
    assert ask(gallery, "/files/new/cat.txt").body == "meow\n"
    gallery.edit_inventory("/media: uploads, /files: uploads}", "/media: uploads}")
    gallery.inv("provision")
    gallery.inv("deploy")
