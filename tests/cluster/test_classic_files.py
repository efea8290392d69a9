"""Cluster files of the shapes that people have: taken exactly where ``ray up`` takes them."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import yaml

from lrray.cluster.file import read_cluster_file
from lrray.errors import LrrayError

AWS = "cluster_name: c\nprovider: {type: aws, region: us-west-2}\nauth: {ssh_user: ubuntu}\n"
OWN = "cluster_name: c\nprovider: {type: local, head_ip: 10.0.0.1, worker_ips: [10.0.0.2]}\n"
OWN += "auth: {ssh_user: ubuntu}\n"
TYPES = """head_node_type: head
available_node_types:
  head: {node_config: {InstanceType: m5.large}, resources: {CPU: 2}}
  gpu: {node_config: {InstanceType: p3.2xlarge}, resources: {}, max_workers: 2}
"""
SHAPES = {
    "no types at all": (AWS, True),
    "min_workers at the top": (AWS + "min_workers: 1\nmax_workers: 2\n", True),
    "min_workers at the top, beside types": (AWS + "min_workers: 0\n" + TYPES, True),
    "an empty head_node": (AWS + "head_node: {}\nworker_nodes: {}\n", True),
    "an empty head_node beside types": (AWS + "head_node: {}\n" + TYPES, True),
    "a head_node of null": (AWS + "head_node:\nworker_nodes:\n", False),
    "a head_node that says something": (AWS + "head_node: {InstanceType: m5.large}\n", False),
    "worker_nodes that say something": (
        AWS + "worker_nodes: {InstanceType: m5.large, ImageId: ami-1}\n", False,
    ),
    "YAML 1.1's yes": (AWS.replace("us-west-2}", "us-west-2, cache_stopped_nodes: yes}"), True),
    "YAML 1.1's off": (AWS.replace("us-west-2}", "us-west-2, cache_stopped_nodes: off}"), True),
    "YAML 1.1's octal": (AWS + "idle_timeout_minutes: 05\n", True),
    "YAML 1.1's no": (AWS + "file_mounts_sync_continuously: no\n", True),
    "a word for a boolean": (AWS + "file_mounts_sync_continuously: never\n", False),
    "own machines": (OWN, True),
    "own machines, min_workers at the top": (OWN + "min_workers: 1\nmax_workers: 1\n", True),
    "own machines, an empty head_node": (OWN + "head_node: {}\nworker_nodes: {}\n", True),
    "own machines of types": (OWN + TYPES, False),
    "initial_workers": (AWS + "initial_workers: 2\nautoscaling_mode: default\n", False),
    "target_utilization_fraction": (AWS + "target_utilization_fraction: 0.8\n", False),
    "no cluster name": (AWS.replace("cluster_name: c\n", ""), True),
}  # fmt: skip


def ray_takes(text: str) -> bool:
    """What ``ray up`` does with a file before it asks a cloud."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            validate_config(prepare_config(yaml.safe_load(text)))
    except (Exception, SystemExit):
        return False
    return True


def lrray_takes(path: Path) -> bool:
    try:
        read_cluster_file(path)
    except LrrayError as error:
        told = str(error)
    else:
        return True
    assert "\n" not in told
    return False


@pytest.mark.parametrize(("text", "taken"), SHAPES.values(), ids=SHAPES)
def test_a_file_is_taken_exactly_where_ray_takes_it(tmp_path: Path, text: str, taken: bool) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    assert (ray_takes(text), lrray_takes(path)) == (taken, taken)
