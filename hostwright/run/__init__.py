"""A run: requests to hosts, what the hosts say, and what the user wants meanwhile."""
