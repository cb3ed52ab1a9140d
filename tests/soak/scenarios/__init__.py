"""One scenario a module."""
