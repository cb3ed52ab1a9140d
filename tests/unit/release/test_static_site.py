"""What nginx is told to serve itself, and what provision makes for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hostwright.inventory import App, Host
from hostwright.recipes.app import app_resources
from hostwright.recipes.https import Site
from hostwright.recipes.nginx import DEFAULT_SITE, FOLDER, Static, front, static
from hostwright.recipes.release import deploy_fields
from hostwright.recipes.render import renderer
from hostwright.remote.release.deploy import STEPS
from hostwright.remote.resources.directory import Directory
from hostwright.remote.resources.file import File

from .test_rendered import app_and_host

IMMUTABLE, HOUR = "public, max-age=31536000, immutable", "public, max-age=3600"


def site(app: App, folder: Path, name: str = "app.conf") -> str:
    """A file of the app, as it travels: app.conf, http.conf, or the site itself."""
    named = f"/etc/nginx/sites-enabled/hostwright-{app.name}.conf"
    made = {made.name: made for made in front([Site(app)], renderer(folder)) if isinstance(made, File)}
    found = made.get(named, made[DEFAULT_SITE])
    return {**found.parts, f"{FOLDER}/{app.name}/site": found.content}[f"{FOLDER}/{app.name}/{name}"]


def test_a_site_without_static_files_is_as_it_was(tmp_path: Path) -> None:
    app, _ = app_and_host(tmp_path)
    text = site(app, tmp_path)
    assert re.findall(r"^location (.*) \{", text, re.MULTILINE) == [
        "= /.hostwright/error.html", "= /.hostwright/maintenance.html", "/", '~ "/\\.(?!well-known(/|$))"',
    ]  # fmt: skip
    assert "Cache-Control" not in text
    shared = site(app, tmp_path, "http.conf")
    assert shared.startswith("# hello: managed by Hostwright. What its servers share.\nupstream hello {")
    assert "immutable" not in shared


def test_other_apps_do_not_read_code_and_packages(tmp_path: Path) -> None:
    """A pyproject.toml's own code may be installed as a package."""
    found = {made.name: made for made in app_resources(*app_and_host(tmp_path), renderer(tmp_path))}
    for path in ("/srv/hello/trees", "/srv/hello/venvs"):
        folder = found[path]
        assert isinstance(folder, Directory)
        assert (folder.mode, folder.owner, folder.group) == (0o750, "root", "hello")


def test_an_app_that_loses_its_domains_has_one_site_at_any_time(tmp_path: Path) -> None:
    """nginx refuses two upstreams of one name, and judges each file as it is written."""
    app, _ = app_and_host(tmp_path)
    named = "/etc/nginx/sites-enabled/hostwright-hello.conf"
    found = [made.id for made in front([Site(app)], renderer(tmp_path))]
    assert found.index(f"set_aside:{named}") < found.index(f"file:{DEFAULT_SITE}")
    app, _ = app_and_host(tmp_path, "    domains: [hello.example.com]\n")
    found = [made.id for made in front([Site(app)], renderer(tmp_path))]
    assert found.index(f"file:{DEFAULT_SITE}") < found.index(f"file:{named}")
    assert f"set_aside:{named}" not in found


def test_locations(tmp_path: Path) -> None:
    app, _ = app_and_host(
        tmp_path, "    static: {/static: static, /media: uploads/big}\n    shared: [uploads, static/made]\n"
    )
    assert static(app) == [
        Static("/media", True),
        Static("/static", False),
        Static("/static/made", True),
    ]
    text = site(app, tmp_path)
    assert re.findall(r"location (\^~ \S+|~ \S+(?:media|static)\S+) \{", text) == [
        "^~ /media/", '~ "^/media/(.*/)?(\\.|$)"', "^~ /static/", '~ "^/static/(.*/)?(\\.|$)"',
        "^~ /static/made/", '~ "^/static/made/(.*/)?(\\.|$)"',
    ]  # fmt: skip
    assert text.count("disable_symlinks if_not_owner from=/srv/hello/current/public/static;") == 1
    assert text.count("disable_symlinks if_not_owner from=/srv/hello/previous/public/static;") == 1
    assert text.count("{") == text.count("}")
    # the longest path that fits, as nginx chooses a location
    served = re.findall(r'"~(\^/\S+)" (shared|release);', site(app, tmp_path, "http.conf"))
    assert served == [("^/static/made/", "shared"), ("^/static/", "release"), ("^/media/", "shared")]


def test_files_leave_in_one_write(tmp_path: Path) -> None:
    """sendfile(2) makes small files dear (benchmarks/NOTES.md): every location that serves files does without."""
    app, _ = app_and_host(tmp_path, "    static: {/static: static, /media: uploads}\n    shared: [uploads]\n")
    text = site(app, tmp_path)
    blocks = re.findall(r"^location [^\n]*\{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    files = [block for block in blocks if " root /srv/hello/" in block]
    assert len(files) == 4
    assert all("    sendfile off;\n" in block for block in files)


def test_a_shared_directory_that_no_url_can_name_has_no_location(tmp_path: Path) -> None:
    app, _ = app_and_host(tmp_path, '    static: {/static: static}\n    shared: ["static/my files"]\n')
    assert static(app) == [Static("/static", False)]


def test_two_apps_have_maps_of_their_own(tmp_path: Path) -> None:
    app, _ = app_and_host(tmp_path, "    static: {/static: static}\n")
    other = app.model_copy(update={"name": "my-shop"})
    assert "map $uri $hostwright_my_shop_served {" in site(other, tmp_path, "http.conf")
    assert "add_header Cache-Control $hostwright_my_shop_cache;" in site(other, tmp_path)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/static/site.3f2a9c1b7d5e.css", True),  # Django
        ("/static/main.8f3c2a1b.js", True),  # webpack, Parcel
        ("/static/fonts/a.0123456789abcdef0123.woff2", True),
        ("/_next/static/chunks/123-0123456789abcdef.js", True),  # Next.js
        ("/assets/index-B4xK29ab.js", True),  # Vite
        ("/assets/index-B4x_2-ab.css", True),
        ("/assets/index-B4xK29ab.js.map", True),
        ("/assets/main-5QXYZ2AB.js", True),  # esbuild
        ("/static/site.css", False),
        ("/static/jquery-validation.js", False),
        ("/static/bootstrap-datepicker.min.js", False),
        ("/static/jquery-dataTables.js", False),
        ("/static/font-awesome4.css", False),
        ("/static/banner-1920x1080.jpg", False),
        ("/static/report-20260131.pdf", False),
        ("/static/user-OVERVIEW.html", False),
        ("/static/site.deadbee.css", False),
        ("/static.0123456789ab/site.css", False),  # the folder's name says nothing of the file
    ],
)
def test_what_browsers_keep_for_good(tmp_path: Path, path: str, kept: bool) -> None:
    """nginx takes the first expression that matches; PCRE and Python agree on these."""
    static = "{/static: static, /assets: a, /_next/static: b, /media: uploads}"
    app, _ = app_and_host(tmp_path, f"    static: {static}\n    shared: [uploads]\n")
    text = site(app, tmp_path, "http.conf")
    patterns = re.findall(rf'"~(\S+ \S+)" "{IMMUTABLE}"', text)
    assert len(patterns) == 4
    assert any(re.search(pattern, f"release {path}") for pattern in patterns) == kept
    # the app writes there under any name: nothing of it is kept for good
    assert not any(re.search(pattern, f"shared {path}") for pattern in patterns)
    assert f'"~^(release|shared) " "{HOUR}";' in text


def directories(app: App, host: Host, folder: Path) -> dict[str, tuple[int, str, str]]:
    found = [r for r in app_resources(app, host, renderer(folder)) if isinstance(r, Directory)]
    return {r.name: (r.mode, r.owner, r.group) for r in found if "/shared" in r.name}


def test_shared_directories(tmp_path: Path) -> None:
    app, host = app_and_host(tmp_path, "    shared: [uploads, data/db, data/more/x]\n")
    root, own = (0o755, "root", "root"), (0o2750, "hello", "www-data")
    assert directories(app, host, tmp_path) == {
        "/srv/hello/shared": root,
        "/srv/hello/shared/data": root,
        "/srv/hello/shared/data/more": root,
        "/srv/hello/shared/uploads": own,
        "/srv/hello/shared/data/db": own,
        "/srv/hello/shared/data/more/x": own,
    }
    without, host = app_and_host(tmp_path)
    assert directories(without, host, tmp_path) == {}


@pytest.mark.parametrize(
    ("extra", "less"),
    [
        ("", 2),
        ("    build_command: make\n", 1),
        ("    release_command: make\n", 1),
        ("    build_command: make\n    release_command: make\n", 0),
    ],
)
def test_progress_counts_the_steps_that_come(tmp_path: Path, extra: str, less: int) -> None:
    app, host = app_and_host(tmp_path, extra)
    fields = deploy_fields(app, host, {"kind": "push", "commit": "c"}, {})
    assert fields["total"] == len(STEPS) - less


def test_what_a_deploy_is_told(tmp_path: Path) -> None:
    app, host = app_and_host(
        tmp_path, "    build_command: sh -c 'npm ci'\n    static: {/s: st}\n    shared: [up]\n"
    )
    fields = deploy_fields(app, host, {"kind": "push", "commit": "c"}, {})
    assert fields["build_command"] == ["sh", "-c", "npm ci"]
    assert (fields["static"], fields["shared"]) == ({"/s": "st"}, ["up"])
