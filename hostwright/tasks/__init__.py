"""The Invoke tasks. A project's tasks.py is `from hostwright.tasks import ns`."""
