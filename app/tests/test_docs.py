"""The pages about the API under `Content-Security-Policy: default-src 'self'`, and without internet."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.settings import Settings

OWN = "http://testserver"


class Links(HTMLParser):
    """What a page refers to, and what a strict policy would not run or apply."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.forbidden: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self._inside = tag if tag == "script" else ""
        self.urls += [value for name, value in named.items() if name in {"href", "src"}]
        self.forbidden += [f"{tag} {name}" for name in named if name == "style" or name.startswith("on")]
        if tag in {"style", "base", "iframe", "object"}:
            self.forbidden.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside and data.strip():
            self.forbidden.append("inline script")


def links(page: str) -> list[str]:
    found = Links()
    found.feed(page)
    assert not found.forbidden
    return found.urls


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_refer_only_to_what_the_app_itself_serves(client: TestClient, path: str) -> None:
    page = client.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    found = links(page.text)
    assert found
    for link in found:
        assert not re.match(r"[a-z]+:|//|/", link), "relative, so that the app may sit behind a path"
        assert client.get(urljoin(f"{OWN}{path}", link)).status_code == 200


def test_the_files_of_the_page_have_types_and_are_kept_for_good(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["cache-control"] == "no-cache", "it names the versions of the others"
    types = {}
    for link in links(page.text):
        answer = client.get(urljoin(f"{OWN}/docs", link))
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        types[link.partition("?")[0]] = answer.headers["content-type"]
    assert types == {
        "docs/favicon-32x32.png": "image/png",
        "docs/swagger-ui.css": "text/css; charset=utf-8",
        "docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
        "docs/init.js": "text/javascript; charset=utf-8",
    }


def test_another_version_than_the_one_asked_for_is_not_kept(client: TestClient) -> None:
    for url in ("/docs/swagger-ui.css", "/docs/swagger-ui.css?v=0123456789ab"):
        assert client.get(url).headers["cache-control"] == "no-cache"


def test_images_of_the_style_sheet_are_files(client: TestClient) -> None:
    css = client.get("/docs/swagger-ui.css").text
    urls = set(re.findall(r"url\(([^)]*)\)", css))
    assert len(urls) > 5
    assert "data:" not in css
    assert "//" not in re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    for url in urls:
        image = client.get(urljoin(f"{OWN}/docs/swagger-ui.css", url))
        assert image.status_code == 200
        assert "immutable" in image.headers["cache-control"]
        signs = {"image/svg+xml": b"<svg ", "image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8"}
        assert image.content.startswith(signs[image.headers["content-type"]])


def test_the_page_reads_the_apps_own_description(client: TestClient) -> None:
    script = client.get("/docs/init.js").text
    assert 'url: "openapi.json"' in script
    assert "http" not in script
    assert 'validatorUrl: "none"' in script
    assert client.get("/openapi.json").json()["info"]["title"] == "Hello"


def test_what_is_not_there(client: TestClient) -> None:
    for path in ("/docs/nothing.js", "/docs/..%2fdocs.py", "/redoc"):
        assert client.get(path).status_code == 404


def test_head_works_as_get(client: TestClient) -> None:
    assert client.head("/docs").status_code == client.head("/docs/init.js").status_code == 200


def test_behind_a_path_and_as_a_part_of_another_app(client: TestClient) -> None:
    from app.main import create_app

    outer = FastAPI()
    outer.mount("/sub", create_app(Settings(greeting="Hello")))
    with TestClient(outer) as behind:
        page = behind.get("/sub/docs")
        for link in links(page.text):
            assert behind.get(urljoin(f"{OWN}/sub/docs", link)).status_code == 200
        assert behind.get(urljoin(f"{OWN}/sub/docs", "openapi.json")).json()["servers"] == [{"url": "/sub"}]
