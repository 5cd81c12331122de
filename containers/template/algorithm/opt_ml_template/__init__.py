"""The template image's built-in algorithm: a line through a table, to be replaced by your own."""
