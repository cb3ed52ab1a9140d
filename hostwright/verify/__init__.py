"""`inv verify`: a testinfra suite, driven by the inventory, that runs against any provisioned server."""

from __future__ import annotations

from hostwright.verify.suite_run import verify

__all__ = ["verify"]
