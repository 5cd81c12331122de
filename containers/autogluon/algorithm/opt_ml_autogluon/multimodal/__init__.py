"""Images, text, and tables that hold both: pretrained networks, fitted further."""
