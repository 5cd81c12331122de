"""`sagemaker_containers.beta`, where its public names are."""
