"""What the front and the process of the streams say to each other, in `serving.frames`.

| from | header | body |
|---|---|---|
| process | `{"event": "ready"}` or `{"event": "failed", "cause": ...}` | for failed: a traceback, or empty |
| process | `{"event": "absent"}`: the handler has no bidirectional_fn | |
| front | `{"open": n, "path": ..., "headers": {...}}` | |
| both | `{"part": n, "kind": ..., "is_last": bool}` | the bytes |
| both | `{"close": n, "code": ..., "reason": ...}` | |
| both | `{"hold": n}`, `{"go": n}` | |

A kind is `text`, `binary`, or `more` for a part of the message that the part before it has begun. `hold`
asks the other side for no more parts of a stream until `go`; a few may still be on their way.
"""

from __future__ import annotations

TEXT = "text"
BINARY = "binary"
MORE = "more"

NORMAL = 1000  # RFC 6455, section 7.4.1
GOING_AWAY = 1001
INVALID_TEXT = 1007
INTERNAL_ERROR = 1011
