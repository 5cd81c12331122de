"""Causal language models as Hugging Face's `save_pretrained` writes them: they answer chats without any code.

| module | what |
|---|---|
| `pretrained` | finds and loads the model and its tokenizer |
| `wishes` | from a chat completion's request to the arguments of `generate` |
| `generation` | the text while it is generated |
| `chatting` | the image's `chat_fn` |
"""
