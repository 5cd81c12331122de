"""The processes that hold the model, from both ends: the front's pool and link, and what runs in a worker."""
