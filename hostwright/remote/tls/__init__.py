"""Certificates on the server: what they say, what nginx serves, how they are renewed."""
