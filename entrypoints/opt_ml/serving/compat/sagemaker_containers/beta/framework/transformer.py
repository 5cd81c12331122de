"""`sagemaker_containers.beta.framework.transformer`: AWS's examples import it and do not use it."""
