"""`sagemaker_containers.beta.framework.modules`: AWS's examples import it and do not use it."""
