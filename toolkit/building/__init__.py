"""Images: the matrix, the plan, the build, the locks."""
