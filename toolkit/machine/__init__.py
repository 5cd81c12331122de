"""What this machine has: the Docker engine, the containers it runs, its network, and the checks of it."""
