"""Reading a job's channels, for the built-in algorithms and for scripts alike.

    from opt_ml.data import open_objects
    from opt_ml.environment import read_environment

    for name, stream in open_objects(read_environment().channels["train"]):
        ...

- `open_objects`: whatever the mode, each S3 object of a channel as a stream.
- `open_epoch`, `epochs`: a Pipe channel's bytes, epoch by epoch.
- `read_records`, `read_attributes`, `write_record`: RecordIO framing.

Everything is read once and in order, as FIFOs demand and FastFile mode likes it, and memory stays bounded.
"""

from opt_ml.data.objects import open_objects
from opt_ml.data.pipe import epochs, open_epoch
from opt_ml.data.recordio import read_attributes, read_records, record_streams, write_record

__all__ = [
    "epochs",
    "open_epoch",
    "open_objects",
    "read_attributes",
    "read_records",
    "record_streams",
    "write_record",
]
