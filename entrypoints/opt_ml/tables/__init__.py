"""Tables in a job's channels, for every algorithm that learns from rows and columns.

    from opt_ml.tables.files import read_channel

    rows = read_channel(environment.channels["train"], header="auto", label=None)
    rows.frame, rows.named, rows.where(11)

Needs pandas and fastparquet, and scikit-learn for LIBSVM, which an image of tables has in its own lock; the
servers and script mode import nothing of it.
"""
