"""Stateful sessions: a client opens one, and its requests find what earlier ones have left (HOST-103).

| module | what it does |
|---|---|
| store | the sessions that are open, each with a directory; used by the front |
| desk | which requests open, use and close one, and what they get |
| session | what a handler sees of one, as `context.session` |
"""
