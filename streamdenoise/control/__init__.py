"""A running session: commands, keys, the socket, and what the screen shows."""
