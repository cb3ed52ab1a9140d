"""What is shipped to the server and runs there under its own Python: standard library only, 3.9 syntax."""
