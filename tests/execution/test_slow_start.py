"""A machine so busy that Ray's own processes take longer to start than Ray waits for them."""

import os
import subprocess
import sys

from tests.faults.driver import ROOT

CODE = """
from lrray.execution import cluster
cluster.START_TRIES = 1
cluster.start_ray("local")
"""


def test_it_is_said_in_a_line_rather_than_by_ray():
    slow = {
        "RAY_testing_asio_delay_us": "NodeInfoGcsService.grpc_server.RegisterNode=50000000:50000000"
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env={**os.environ, **slow},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "--address local: Ray did not start within 30 s" in last
