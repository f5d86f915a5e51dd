"""Many recordings: collected, planned, run in processes, written down."""
