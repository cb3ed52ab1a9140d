"""`hostwright init` (or `python -m hostwright init`): the same commands where there is no tasks.py yet."""

from __future__ import annotations


def main() -> None:
    """Run Invoke with our tasks."""
    from invoke.program import Program

    from hostwright import __version__
    from hostwright.tasks import ns

    Program(name="Hostwright", binary="hostwright", namespace=ns, version=__version__).run()


if __name__ == "__main__":
    main()
