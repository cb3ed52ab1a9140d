"""Readiness checks: small questions such as "does the database answer", asked all at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

ReadinessCheck = Callable[[], Awaitable[None]]  # raises when what it looks at does not work

_TIMEOUT = 2.0  # seconds; shorter than any sensible probe waits
_log = logging.getLogger("app.readiness")


async def failing(checks: Mapping[str, ReadinessCheck]) -> list[str]:
    """Run all checks together, each for at most two seconds; return the sorted names of those that fail."""
    passed = await asyncio.gather(*(_passes(name, check) for name, check in checks.items()))
    return sorted(name for name, ok in zip(checks, passed, strict=True) if not ok)


async def _passes(name: str, check: ReadinessCheck) -> bool:
    try:
        await asyncio.wait_for(check(), _TIMEOUT)
    except Exception:
        _log.exception("readiness check failed", extra={"check": name})
        return False
    return True
