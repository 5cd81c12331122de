"""`serve`: a model behind GET /ping and POST /invocations."""
