"""Script mode: the user's own program as the training job, as the AWS toolkit `sagemaker-training` runs it.

`run.run` is the job: `source` brings the code, `requirements` installs, `variables` and `arguments` say to
the program what the job is, `process` runs it and `cause` finds out why it failed. Nothing here is imported
where the job has no program, and little where it has one: the start of a job is time that somebody pays for.
"""
