"""A Ray cluster of several nodes on this machine, in a process of its own.

``python -m tests.faults.cluster`` prints the address, then obeys lines on its input: ``add 1``
starts a node of two CPUs that claims one GPU, ``remove`` takes the newest one away without notice,
``metrics`` prints the URL of the head's Prometheus endpoint.
"""

import os
import subprocess
import sys


class ClusterProcess:
    """Starts such a process and speaks to it; a context manager."""

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.cluster"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
        )  # fmt: skip
        self.address = self._answer()
        return self

    @property
    def pid(self):
        """Of the process below which all of the cluster's run."""
        return self._process.pid

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def add_node(self, num_gpus=0):
        self._ask(f"add {num_gpus}")

    def remove_node(self):
        self._ask("remove")

    def metrics_url(self):
        return self._ask("metrics", answer=None)

    def _ask(self, word, answer="done"):
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        given = self._answer()
        assert answer in (None, given)
        return given

    def _answer(self):
        for line in self._process.stdout:
            if line.startswith("> "):
                return line[2:].strip()
        raise AssertionError("the cluster's process has ended")


def main():
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    nodes = []
    print(">", cluster.address, flush=True)
    for line in sys.stdin:
        answer = "done"
        if line.startswith("add"):
            nodes.append(cluster.add_node(num_cpus=2, num_gpus=int(line.split()[1])))
            cluster.wait_for_nodes()
        elif line.strip() == "remove":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        elif line.strip() == "metrics":
            answer = f"http://127.0.0.1:{cluster.head_node.metrics_export_port}/metrics"
        print(">", answer, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
