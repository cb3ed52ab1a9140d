"""What tests of resources, recipes and releases need. Public: a project's own tests may use it."""

from hostwright.testing.system import FakeSystem

__all__ = ["FakeSystem"]
