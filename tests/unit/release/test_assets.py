"""What nginx serves itself, on a real file system: hard links to the code, and nothing that leads out."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostwright.remote.release.assets import assets_key, ensure_assets, is_shared, unserved
from hostwright.remote.release.layout import Layout
from hostwright.remote.release.tree import Kept, Store
from hostwright.remote.run import StepError
from hostwright.testing import FakeSystem

from .test_git import Plain

FILES = {
    "static/app.js": "app", "static/css/site.css": "css", "static/.hidden": "", "more/extra.js": "extra",
    "main.py": "code", "static/app.txt": "text",
}  # fmt: skip


class Server:
    """An app's folders below a temporary one."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout("hello")
        for name in ("trees", "assets", "shared"):
            setattr(self.layout, name, str(root / name))
            (root / name).mkdir()
        self.root, self.tree = root, root / "trees" / "t1"
        for path, text in FILES.items():
            (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / path).write_text(text)
        self.said: list[str] = []

    def make(self, static: dict[str, str], shared: tuple[str, ...] = (), code: str = "t1") -> Kept:
        system = Plain()
        store = Store(system, self.layout.assets)
        return ensure_assets(system, self.layout, store, code, static, shared, self.said.append)

    def files(self, kept: Kept) -> set[str]:
        folder = self.root / "assets" / kept.name
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_hard_links_made_once(server: Server) -> None:
    static = {"/static": "static", "/static/more": "more"}
    made = server.make(static)
    assert not made.reused
    assert made.name == assets_key("t1", static, ())
    assert server.files(made) == {
        "static/app.js", "static/css/site.css", "static/.hidden", "static/more/extra.js", "static/app.txt",
    }  # fmt: skip
    copy = server.root / "assets" / made.name / "static" / "app.js"
    assert copy.samefile(server.tree / "static" / "app.js")
    assert copy.parent.stat().st_mode & 0o777 == 0o755
    again = server.make(static)
    assert (again.name, again.reused) == (made.name, True)
    # taken away with the code's folder or without: the other stays
    Store(Plain(), server.layout.assets).remove(made.name)
    assert (server.tree / "static" / "app.js").read_text() == "app"


def test_another_mapping_is_another_folder(server: Server) -> None:
    assert server.make({"/static": "static"}).name != server.make({"/s": "static"}).name
    assert assets_key("t1", {"/m": "up"}, ()) != assets_key("t1", {"/m": "up"}, ("up",))


def test_links_that_lead_out_are_left_out_and_told(server: Server) -> None:
    static = server.tree / "static"
    for name, target in {
        "passwd": "/etc/passwd", "code": "../main.py", "up": "..", "inside": "app.js", "css/back": "../app.txt",
        "round": "css/../../main.py", "chain": "inside",
    }.items():  # fmt: skip
        (static / name).symlink_to(target)
    (static / "css" / "far").symlink_to("../../../../../../etc/passwd")
    files = server.files(server.make({"/static": "static"}))
    assert files >= {"static/inside", "static/css/back", "static/chain", "static/app.js"}
    assert not files & {"static/passwd", "static/code", "static/up", "static/round", "static/css/far"}
    assert server.said == [
        "not served, as they lead out of their directory: static/code, static/css/far, static/passwd and 2 more"
    ]


def test_a_shared_directory_is_served_from_where_it_is(server: Server) -> None:
    made = server.make({"/media": "uploads", "/media2": "uploads/big", "/static": "static"}, ("uploads",))
    folder = server.root / "assets" / made.name
    assert (folder / "media").readlink() == server.root / "shared" / "uploads"
    assert (folder / "media2").readlink() == server.root / "shared" / "uploads" / "big"
    assert server.said == []


def test_a_shared_directory_inside_a_served_one_stays(server: Server) -> None:
    (server.tree / "static" / "made").symlink_to(server.root / "shared" / "static" / "made")
    made = server.make({"/static": "static"}, ("static/made",))
    assert (server.root / "assets" / made.name / "static" / "made").is_symlink()
    assert server.said == []


@pytest.mark.parametrize(
    ("static", "said"),
    [
        ({"/static": "statics"}, "static: there is no directory statics in this release"),
        ({"/static": "main.py"}, "static: main.py is a file; a directory is served"),
        ({"/static": "."}, 'static: "." is all of the app\'s code'),
        ({"/static": "out"}, "static: there is no directory out in this release"),
        ({"/static/..": "static"}, "static: /static/.. is not a URL that nginx serves"),
        (
            {"/a": "uploads", "/a/b": "static"},
            "static: /a/b cannot be served inside /a: a shared directory, a file",
        ),
        ({"/a": "static", "/a/trap/x": "more"}, "static: /a/trap/x cannot be served inside /a/trap: "),
        (
            {"/a": "static", "/a/trap": "more"},
            "static: a file or symlink of what is served already is in the place",
        ),
        ({"/a": "static", "/a/css": "uploads"}, "static: /a/css is in the code and a shared directory too"),
    ],
)
def test_what_cannot_be_served(server: Server, static: dict[str, str], said: str) -> None:
    (server.tree / "out").symlink_to("/etc")
    (server.tree / "static" / "trap").symlink_to("/tmp")
    with pytest.raises(StepError) as error:
        server.make(static, ("uploads",))
    assert error.value.message.startswith(said)
    assert list(Path(server.layout.assets).iterdir()) == []


def test_what_nginx_was_not_told_of() -> None:
    """Provision owns the site; a deploy alone changes nothing about it."""
    root, own = "/etc/nginx/sites-enabled", "/etc/nginx/hostwright/hello/app.conf"
    site = "location ^~ /static/ {\n root /srv/hello/current/public;"
    system = FakeSystem(files={own: site, f"{root}/x": "location ^~ /media/ {"})
    layout = Layout("hello")
    assert unserved(system, layout, {"/static": "static"}) == []
    assert unserved(system, layout, {"/static": "s", "/media": "m", "/a/static": "x"}) == [
        "/media",
        "/a/static",
    ]
    # a project's own site may have it all in one file
    system = FakeSystem(files={f"{root}/hostwright-hello.conf": site})
    assert unserved(system, layout, {"/static": "static", "/media": "m"}) == ["/media"]


def test_shared_or_not() -> None:
    assert is_shared("uploads", ["uploads"])
    assert is_shared("uploads/a", ["uploads"])
    assert not is_shared("uploads2", ["uploads"])
