"""A whole Debian with systemd and PipeWire, and the program as its user has it."""
