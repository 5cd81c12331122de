"""`build.py estimator`: a program of the SageMaker Python SDK for a pushed image."""

from __future__ import annotations

import argparse

HELP = "Print a SageMaker SDK program, version 3 or 2, that trains and deploys a pushed image."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("image", metavar="IMAGE", help="one that was pushed from here, such as ensemble-cpu")
    parser.add_argument("--sdk", type=int, choices=[2, 3], default=3, help="major version of the SDK (3)")
    parser.add_argument("--region", help="where several were pushed to (the first)")
    parser.add_argument("--role", metavar="ARN", help="execution role (a placeholder)")
    parser.add_argument(
        "--instance-type",
        metavar="TYPE",
        help="of job and endpoint (ml.m5.xlarge; CUDA: ml.g5.xlarge)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the program."""
    from toolkit import aws
    from toolkit.building.images import ROOT
    from toolkit.registry.estimator import Usage, make_program
    from toolkit.registry.shipment import RECORDS, find_pushed

    aws.install()
    from toolkit.aws.regions import partition_of

    pushed = find_pushed(ROOT / RECORDS, arguments.image, arguments.region)
    region = str(pushed.region)
    usual = "ml.g5.xlarge" if pushed.inference_ami else "ml.m5.xlarge"
    usage = Usage(
        image=pushed.image,
        image_uri=pushed.image_uri,
        region=region,
        partition=partition_of(region).name,
        instance_type=arguments.instance_type or usual,
        inference_ami=pushed.inference_ami,
        role=arguments.role,
    )
    print(make_program(usage, arguments.sdk), end="")
    return 0
