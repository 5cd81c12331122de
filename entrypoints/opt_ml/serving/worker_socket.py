"""Where a worker finds its socket; apart, so that the front need not import what a worker imports."""

SOCKET = 3
"""File descriptor of the worker's end of the socket pair."""
