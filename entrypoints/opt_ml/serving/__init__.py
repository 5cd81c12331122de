"""`serve`: a model behind GET /ping and POST /invocations.

    client --HTTP--> connection, request_reader --> front --> pool --frames--> worker --> invocation, handler

The front process (`main`, `front`, `connection`, `request_reader`, `pool`, `worker_link`, `processes`)
parses, routes and queues; it imports neither NumPy nor a framework. A worker (`worker`, `invocation`,
`handler`, `defaults`) loads the model once and answers one frame at a time. `codecs` is the door to
`csv_text`, `json_text`, `binary`, `encoding` and `media`, for every tabular handler.

`Pool.submit` is the only way from HTTP to a model, and frames delimit themselves: batching, several models
and streamed answers change what a pool sends and what a worker reads, not how HTTP is spoken.
"""
