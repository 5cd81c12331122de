"""A container that serves, from outside: what is mounted, how it is asked, models made ready for it."""
