"""Streams of PulseAudio and PipeWire, opened by the server's own client library.

PortAudio reaches a sound server through ALSA's plugin for it, which keeps a buffer of
its own, wakes a thread for each of its periods, and now and then waits without end for
a device that has just gone. The library that the plugin itself uses, libpulse, is on
every computer with such a server, and none of that is needed.
"""
