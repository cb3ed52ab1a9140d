"""Hostwright beside its peers: the same work, on servers of the same kind, in turn, in one session."""
