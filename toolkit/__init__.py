"""Builds, runs and checks images from outside; never imported inside an image."""
