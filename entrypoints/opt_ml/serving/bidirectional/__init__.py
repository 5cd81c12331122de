"""Bidirectional streams: WebSocket connections that a handler talks on (HOST-120 to HOST-124).

A handler's `bidirectional_fn(stream, model)` is a coroutine function; all streams are in one event loop of
one process, which starts at the first of them and holds a model of its own, so that /invocations does not
notice.

| module | what it does |
|---|---|
| stream | what `bidirectional_fn` gets |
| process | the process that runs it |
| messages | what the front and that process say to each other |
| link | the front's end of that process |
| streams | starts the process, and knows the streams |
| relay | one client's connection, after its upgrade |
"""
