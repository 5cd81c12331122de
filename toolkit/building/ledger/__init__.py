"""The ledger: what each image was made of, what it measured, and what has changed since."""
