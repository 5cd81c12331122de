"""Our `serve` beside the servers that people use today: `python -m benchmarks.serving`."""
