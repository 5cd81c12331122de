"""What a job used, sampled from outside, and what follows from it."""
