"""What a job's driver finds around it."""

from pathlib import Path

from lrray.cluster.jobs import surroundings
from lrray.execution.tune import GRACE_S


def test_a_job_that_is_to_stop_has_time_for_its_checkpoints():
    variables = surroundings("job", Path.cwd())["env_vars"]
    # Beside the running cells' checkpoints the driver may have files to send.
    assert int(variables["RAY_JOB_STOP_WAIT_TIME_S"]) >= 2 * GRACE_S
