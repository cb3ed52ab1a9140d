"""OpenSSH's server: what this one knows, what it is to say, how it is started. Runs on the server.

known       what the installed sshd understands, asked once and kept
algorithms  which of that is good
config      sshd_config and its drop-ins
activation  a service, or a socket of systemd's
"""
