"""`inv audit` on the server: facts about its security, as they are. Nothing is judged here, and nothing changed."""
