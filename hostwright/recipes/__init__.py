"""What a host should be: pure functions from the inventory to a catalog of resources."""
