"""Sound devices: opened, watched, joined across clocks, recorded."""
