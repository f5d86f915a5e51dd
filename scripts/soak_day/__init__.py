"""A day of sound on a simulated clock, for scripts/soak-day."""
