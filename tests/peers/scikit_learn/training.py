"""What AWS's scikit-learn image gives sagemaker-training: the user's program, run as a process."""

from sagemaker_training import entry_point, environment, runner


def main():
    """What `train` calls."""
    env = environment.Environment()
    entry_point.run(
        uri=env.module_dir,
        user_entry_point=env.user_entry_point,
        args=env.to_cmd_args(),
        env_vars=env.to_env_vars(),
        runner_type=runner.ProcessRunnerType,
    )
