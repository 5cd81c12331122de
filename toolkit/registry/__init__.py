"""Registries: local images go up as Docker schema 2, which is the only form that SageMaker takes.

`docker push` sends what the engine has, and that is an OCI manifest where it keeps its images in containerd.
So layers and configuration are read by `docker save` and sent by the Registry HTTP API V2: what was tested is
what is pushed, whichever engine built it.
"""
