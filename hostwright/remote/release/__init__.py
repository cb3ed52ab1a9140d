"""Releases on the server: deploy, rollback, and what can be asked about them."""
