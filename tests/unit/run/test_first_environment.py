"""What a server may know of an app's packages while it is provisioned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hostwright.inventory import App, Host, Inventory
from hostwright.inventory.host import HostSettings
from hostwright.run.first_environment import first_environment
from tests.unit.release.repositories import Work

LOCK = "".join(
    f"{name} --hash=sha256:{digit * 64}\n"
    for name, digit in (("flask==3", "a"), ("gunicorn==23", "b"), ("uvicorn-worker==0.4", "c"))
)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    found = Work(tmp_path / "shop")
    found.write("requirements.txt", LOCK)
    return found


def asked(source: str, name: str = "hello", **fields: Any) -> dict[str, Any]:
    app = App.model_validate({"name": "hello", "source": source, "module": "app.main:app", **fields})
    other = App.model_validate({"name": "other", "source": source, "module": "app.main:app"})
    host = Host.model_validate({"name": "web1", "address": "web1", "apps": ("hello",)})
    inventory = Inventory(Path("/x"), "p", {"hello": app, "other": other}, {"web1": host}, {}, HostSettings())
    return first_environment(inventory, host, {"app": name})


def test_the_packages_of_the_commit_that_a_deploy_would_take(work: Work) -> None:
    work.commit()
    found = asked(str(work.folder))
    assert found["lock"] == LOCK
    assert "gunicorn" in found["modules"]


def test_of_a_folder_of_the_repository(work: Work) -> None:
    work.write("sites/shop/app/main.py", "app = 1\n")
    work.write("sites/shop/requirements.txt", "-r more.txt\n")
    work.write("sites/shop/more.txt", LOCK)
    work.commit()
    assert asked(str(work.folder / "sites/shop"))["lock"] == LOCK


@pytest.mark.parametrize(
    "text",
    [
        "flask\ngunicorn\nuvicorn-worker\n",  # to be resolved
        LOCK.splitlines()[0] + "\n",  # what serves it is to be added
        "--find-links wheels\n" + LOCK,  # belongs to the folder of the deploy
        "-r missing.txt\n" + LOCK,  # the deploy refuses it
    ],
)
def test_what_only_the_deploy_can_tell_is_left_to_it(work: Work, text: str) -> None:
    work.write("requirements.txt", text)
    work.commit()
    assert asked(str(work.folder)) == {}


def test_what_is_not_committed_is_left_to_the_deploy(work: Work) -> None:
    work.commit()
    work.write("requirements.txt", LOCK + "\n")
    assert asked(str(work.folder)) == {}


def test_a_git_url_a_secret_index_and_apps_of_other_hosts_are_not_answered(work: Work) -> None:
    work.commit()
    assert asked("https://git.example.com/shop.git") == {}
    assert asked(str(work.folder), build_env={"UV_INDEX_X_PASSWORD": "x"}) == {}
    assert asked(str(work.folder), "other") == {}
    assert asked(str(work.folder), "../etc") == {}
