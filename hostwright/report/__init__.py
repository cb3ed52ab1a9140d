"""What the operator sees: events folded into a Report and shown as lines, as a live terminal, or as JSON.

rich is imported only for a terminal that may move (live.py). `python -m hostwright.report` plays a demo.
"""

from __future__ import annotations

from hostwright.report.look import Look
from hostwright.report.monitor import Failure, HostReport, Report, Timing, error_json
from hostwright.report.output import Output, choose, error_text, paused
from hostwright.report.table import Column, table

__all__ = [
    "Column",
    "Failure",
    "HostReport",
    "Look",
    "Output",
    "Report",
    "Timing",
    "choose",
    "error_json",
    "error_text",
    "paused",
    "table",
]
