"""The start of an AWS container with sagemaker-inference: multi-model-server, and workers with inference.py.

Usage: mms_toolkit.py PROPERTIES
"""

from __future__ import annotations

import sys

from sagemaker_inference import model_server

if __name__ == "__main__":
    model_server.MMS_CONFIG_FILE = sys.argv[1]  # instead of /etc/sagemaker-mms.properties
    model_server.start_model_server()
