"""Turns a bare Ubuntu or Debian server into production hosting for Python web apps."""

__version__ = "0.1.0"
__all__ = ["__version__"]
