"""`sagemaker_containers.beta.framework.env`: AWS's examples import it and do not use it."""
