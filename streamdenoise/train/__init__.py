"""Training: data, mixing, nets, losses, fitting and export (extra `train`)."""
