"""HTTP as SageMaker speaks it: connections, requests as they arrive, bodies that are too large for memory."""
