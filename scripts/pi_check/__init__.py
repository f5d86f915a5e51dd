"""What scripts/pi-check does: for which `boards`, in what `root`, in which `steps`."""
