"""Who does the work: one module a peer, and what its experts would have written in the folder beside it."""
