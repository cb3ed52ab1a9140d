"""Steady traffic in a process of its own, as many visitors make it. A request that fails is never sent again."""

from tests.soak.traffic.plan import Plan
from tests.soak.traffic.records import FAST, HTTP, KINDS, Record, read
from tests.soak.traffic.running import Traffic, saturation

__all__ = ["FAST", "HTTP", "KINDS", "Plan", "Record", "Traffic", "read", "saturation"]
