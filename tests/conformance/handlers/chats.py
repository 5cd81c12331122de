"""Answers a chat word by word: with those of the last message, in capitals."""

import time


def model_fn(model_dir):
    return {"words": 0}


def chat_fn(request, model):
    words = request["messages"][-1]["content"].split()
    most = request.get("max_tokens") or len(words)
    for number, word in enumerate(words[:most]):
        if word == "break":
            raise RuntimeError("the model broke")
        if number:
            time.sleep(request.get("pause", 0))
        yield word.upper() + " "
    usage = {"prompt_tokens": len(words), "completion_tokens": min(most, len(words))}
    yield {"finish_reason": "length" if most < len(words) else "stop", "usage": usage}
