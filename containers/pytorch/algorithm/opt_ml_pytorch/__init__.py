"""The PyTorch image's own part: what `serve` does with a model that brings no handler, or half of one."""
