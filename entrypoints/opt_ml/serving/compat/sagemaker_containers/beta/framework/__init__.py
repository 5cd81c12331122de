"""`sagemaker_containers.beta.framework`, as AWS's scikit-learn handlers import it."""
