"""report.html of a training job: one file, no network, no script; light and dark, wide and narrow.

`page` needs nothing, `charts` needs pygal and scikit-learn, which an image that draws has in its own lock.
"""
