"""One scenario a module. A soak is a list of pieces, each a scenario of a few minutes; see `schedule`."""
