"""An endpoint with everything around its containers: limits, the runtime API, restarts, several models.

From outside to inside: `door` is the runtime API on a local address, for boto3 and curl; `runtime` is one
endpoint of that API, which validates, limits and wraps errors; `routes` and `multi_model` are the ways from a
request to a container; `fleet` holds the containers, and `keeper` keeps them running.
"""
