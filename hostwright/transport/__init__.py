"""How commands reach a server: SSH, or a subprocess of this machine. Only here are fabric and paramiko known."""
