"""How long builds take and how large images are, beside a plain Dockerfile."""
