"""`serve` of AWS's scikit-learn container: nginx, gunicorn with gevent workers, Flask.

Usage: launch.py NGINX_CONFIGURATION
"""

from __future__ import annotations

import sys

from sagemaker_containers import _server

if __name__ == "__main__":
    _server.nginx_config_file = sys.argv[1]  # instead of /etc/sagemaker-nginx.conf
    _server.start("serving:main")
