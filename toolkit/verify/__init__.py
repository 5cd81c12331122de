"""Whether an image keeps the SageMaker container contract: what it claims, the tests, what comes of them."""
