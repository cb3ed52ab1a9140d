from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from hostwright.inventory import Inventory, load

settings.register_profile("no-deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no-deadline")

Loader = Callable[..., Inventory]


@pytest.fixture
def inventory_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loader:
    """Loads text as the inventory.yaml of an otherwise empty working directory."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str, environ: Mapping[str, str] | None = None) -> Inventory:
        Path("inventory.yaml").write_text(text, encoding="utf-8")
        return load(Path("inventory.yaml"), environ or {})

    return load_text
