"""A training run as a process of its own, for tests that kill it or start two of them.

Reads a JSON file with a list of runs; prints ``{"run": …, "step": …, …}`` for every report of the
first worker, and the step it ended at.
"""

import json
import sys
from pathlib import Path

import torch

from lrray.gssm import GSSM
from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.training import TrainConfig
from lrray.training.loop import train


def run(name, settings):
    gssm = GSSM.from_config(settings["graph"], seed=1)
    model_config = ModelConfig.model_validate(settings["model"])
    config = TrainConfig.model_validate(settings["train"])
    model = build_model(model_config, gssm.vocab_size, config.seq_len, config.model_seed)
    run_dir = Path(settings["run_dir"]) if "run_dir" in settings else None

    def show(metrics):
        print(json.dumps({"run": name, **metrics}), flush=True)

    first = int(settings["rank"]) == 0
    result = train(model, gssm, config, run_dir=run_dir, report=show if first else None)
    if first:
        show({"ended_at": result.step, "finished": result.finished})


if __name__ == "__main__":
    import os

    torch.set_num_threads(1)
    for run_name, run_settings in json.loads(Path(sys.argv[1]).read_text()).items():
        run(run_name, {**run_settings, "rank": os.environ.get("RANK", "0")})
