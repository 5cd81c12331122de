"""Batch transform on this machine: files in, one `.out` file for each, by a container that serves.

`settings` is the request; `records` splits files, `payloads` puts records together to requests, `sender`
sends them, `assembly` makes the output of what comes back, `job` does all of it for a folder.
"""
