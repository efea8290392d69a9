"""Every cluster file that ships, filled in as its comments say.

Those for ``ray up`` go through Ray's own check, as ``ray up`` does it. Kubernetes' and Slurm's own
checks need a server of theirs: here only structure and syntax are looked at.
"""

import re
import subprocess

import pytest
import yaml

from lrray.cluster.file import read_cluster_file
from tests.cluster.hosts import ROOT
from tests.cluster.rendered import PLACEHOLDER, render

VALUES = {
    "cluster.yaml": {"IMAGE": "ami-0123456789abcdef0"},
    "clusters/gcp.yaml": {
        "PROJECT_ID": "my-project-7",
        "IMAGE": "projects/deeplearning-platform-release/global/images/family/common-cu",
    },
    "clusters/local.yaml": {
        "HEAD_IP": "10.0.0.2",
        "WORKER_IP_1": "10.0.0.3",
        "WORKER_IP_2": "10.0.0.4",
        "USER": "ada",
    },
    "clusters/kuberay.yaml": {"IMAGE": "registry/lrray:1", "RESULTS_CLAIM": "results"},
}
RAY_UP = [name for name in VALUES if "kuberay" not in name]


@pytest.fixture
def filled_in(tmp_path, monkeypatch):
    """Writes a file as a user does, with a home that has a key and a token."""
    for name in (".ssh/id_ed25519", ".ray/auth_token"):
        path = tmp_path / name
        path.parent.mkdir()
        path.touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)

    def write(name):
        path = tmp_path / name.replace("/", "-")
        path.write_text(render(ROOT / name, VALUES[name]))
        return path

    return write


def test_all_that_ships_is_looked_at():
    names = {"cluster.yaml", *(f"clusters/{path.name}" for path in (ROOT / "clusters").iterdir())}
    assert names == {*VALUES, "clusters/slurm.sh"}


@pytest.mark.parametrize("name", RAY_UP)
def test_ray_takes_the_file(name, filled_in):
    data = read_cluster_file(filled_in(name))
    from ray.autoscaler._private.util import prepare_config, validate_config

    ready = prepare_config(yaml.safe_load(filled_in(name).read_text()))
    validate_config(ready)
    assert ready["max_workers"] == data.get("max_workers", 2)
    # What the file says is what runs: no default of Ray's installs another Ray.
    assert ready["setup_commands"] == data["setup_commands"]
    assert not any("wheels" in command for command in ready["head_setup_commands"])


@pytest.mark.parametrize("name", RAY_UP)
def test_lrray_is_installed_at_the_constraints_versions_with_the_token(name, filled_in):
    data = read_cluster_file(filled_in(name))
    mounts = data["file_mounts"]
    assert mounts["~/.ray/auth_token"] == "~/.ray/auth_token"
    shipped = {target.removeprefix("~/lrray/"): source for target, source in mounts.items()}
    for needed in ("lrray", "studies", "search_spaces", "pyproject.toml", "constraints.txt"):
        assert shipped[needed] == needed
        assert (ROOT / needed).exists()
    assert "make -C ~/lrray install VENV=$HOME/lrray-env" in data["setup_commands"]
    assert any("RAY_AUTH_MODE=token" in command for command in data["setup_commands"])
    recipe = (ROOT / "Makefile").read_text()
    assert "--constraint constraints.txt --editable ." in recipe


@pytest.mark.parametrize("name", RAY_UP)
def test_shell_commands_parse_and_leave_a_second_run_alone(name, filled_in, tmp_path):
    data = read_cluster_file(filled_in(name))
    keys = [key for key in data if key.endswith("_commands")]
    for command in [command for key in keys for command in data[key]]:
        subprocess.run(["bash", "-n", "-c", command], check=True)
    (tmp_path / ".bashrc").touch()
    note = next(command for command in data["setup_commands"] if "bashrc" in command)
    for _ in range(2):
        subprocess.run(["bash", "-c", note], check=True, env={"HOME": str(tmp_path)})
    assert len((tmp_path / ".bashrc").read_text().splitlines()) == 1


@pytest.mark.parametrize("name", ["cluster.yaml", "clusters/gcp.yaml"])
def test_idle_clouds_cost_one_machine_without_gpu(name, filled_in):
    data = read_cluster_file(filled_in(name))
    head, gpu = data["available_node_types"]["head"], data["available_node_types"]["gpu"]
    assert gpu["min_workers"] == 0
    assert gpu["max_workers"] <= data["max_workers"]
    assert data["idle_timeout_minutes"] <= 15
    assert data["provider"]["cache_stopped_nodes"] is False
    assert "GPU" not in head["resources"]
    assert "spot" in str(gpu["node_config"]) or "preemptible" in str(gpu["node_config"])
    assert "spot" not in str(head["node_config"])


def test_kubernetes_file_has_the_structure_of_a_ray_cluster():
    text = render(ROOT / "clusters/kuberay.yaml", VALUES["clusters/kuberay.yaml"])
    cluster = yaml.safe_load(text)
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    spec = cluster["spec"]
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["enableInTreeAutoscaling"] is True
    ray = re.search(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert spec["rayVersion"] == ray.group(1)
    (gpu,) = spec["workerGroupSpecs"]
    assert (gpu["replicas"], gpu["minReplicas"]) == (0, 0)
    for group in (spec["headGroupSpec"], gpu):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == "registry/lrray:1"
        assert container["resources"]["requests"] == container["resources"]["limits"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        values = [*container["resources"]["limits"].values(), *group["rayStartParams"].values()]
        assert all(isinstance(value, str) for value in values)


def test_slurm_script_is_bash_and_its_ray_command_is_one():
    script = ROOT / "clusters/slurm.sh"
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    directives = re.findall(r"^#SBATCH (--[a-z-]+(?:=\S+)?)$", text, re.MULTILINE)
    assert len(directives) == text.count("\n#SBATCH ")
    assert "--ntasks-per-node=1" in directives
    from ray.scripts.symmetric_run import symmetric_run

    known = {name for option in symmetric_run.params for name in option.opts}
    assert {"--address", "--min-nodes"} <= known
    assert not PLACEHOLDER.search(text)
