"""What a deploy and a restart say about the way back is what a rollback does."""

from __future__ import annotations

from typing import Any

import pytest

from hostwright.remote import events
from hostwright.report import Report
from hostwright.tasks.deploy import undo


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ([{"before": "r1", "again": False}], True),
        ([{"before": "", "again": False}], False),
        # a restart that changed nothing: a rollback would go to the code before
        ([{"before": "r1", "again": True}], False),
        ([{"before": "r1", "again": True}, {"before": "r1", "again": False}], True),
    ],
)
def test_the_way_back_is_told_where_there_is_one(hosts: list[dict[str, Any]], said: bool) -> None:
    report = Report()
    for number, data in enumerate(hosts):
        report.feed(f"web{number}", events.RunFinished("done", 1.0, changed=1, data=data))
    assert bool(undo(report)) == said
