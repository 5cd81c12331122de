"""Chat completions: POST /v1/chat/completions, as clients of OpenAI's API send them (HOST-71).

A handler that generates text has one function more, which the path calls instead of the others:

    def chat_fn(request: dict, model):
        for text in generate(model, request["messages"]):
            yield text
        yield {"finish_reason": "stop", "usage": {"prompt_tokens": 12, "completion_tokens": 34}}

`request` is the body, checked as `requests` says. What it returns or yields, asynchronously too, are parts,
each a text or a dict with any of these:

| key | meaning |
|---|---|
| `content` | text of the answer |
| `tool_calls` | a list of whole calls, each with `id` and `function` (`name`, `arguments`) |
| `finish_reason` | `stop`, `length`, `tool_calls` or `content_filter`; the first or third if none says |
| `usage` | `prompt_tokens` and `completion_tokens`; without them the answer has no counts |

The function need not know whether the client wants a stream: its parts become the events of one, as soon as
they are there, or one answer. Where it fails after the first part, the stream has an event with the error
and is then broken off (HOST-68).

The same body to /invocations is answered in the same way, as AWS's container for large models does.
"""
