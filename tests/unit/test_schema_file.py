"""inventory.schema.json, which editors read, is what the model says today."""

from __future__ import annotations

import json
from pathlib import Path

from hostwright.inventory import json_schema


def test_the_committed_schema_is_current() -> None:
    committed = Path(__file__).parents[2] / "inventory.schema.json"
    assert json.loads(committed.read_text()) == json_schema(), (
        "inv inventory.schema --out inventory.schema.json"
    )
