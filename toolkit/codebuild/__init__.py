"""Image builds in AWS CodeBuild that behave as a build on this machine does."""
