"""Where the workers of one cell are asked to be."""

import pytest

from lrray.execution.process_group import Workers


@pytest.mark.parametrize(
    ("gpu", "strategy"), [(0.0, "PACK"), (0.5, "STRICT_PACK"), (1.0, "STRICT_PACK")]
)
def test_workers_with_gpus_ask_for_one_node(gpu, strategy):
    assert Workers(workers=2, gpu=gpu).strategy == strategy
