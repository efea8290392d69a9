"""Training runs as a process of their own, for tests that kill one or start two workers.

Reads a JSON file of runs by name; the first worker prints ``{"run": name, "step": …, …}`` for every
report and where the run ended. :func:`run` does the same in the test's own process.
"""

import json
import os
import sys
from pathlib import Path

import torch

from lrray.errors import LrrayError
from lrray.gssm import GSSM
from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.training import TrainConfig
from lrray.training.loop import train


def run(settings, report):
    gssm = GSSM.from_config(settings["graph"], seed=1)
    model_config = ModelConfig.model_validate(settings["model"])
    config = TrainConfig.model_validate(settings["train"])
    model = build_model(model_config, gssm.vocab_size, config.seq_len, config.model_seed)
    run_dir = Path(settings["run_dir"]) if "run_dir" in settings else None
    seen = []

    def follow(metrics):
        seen.append(metrics["step"])
        report(metrics)

    def stop():  # as a driver that tells the last worker alone
        told = os.environ.get("RANK", "0") == str(int(os.environ.get("WORLD_SIZE", "1")) - 1)
        return told and settings.get("stop_at") in seen

    result = train(model, gssm, config, run_dir=run_dir, report=follow, should_stop=stop)
    report({"ended_at": result.step, "finished": result.finished})


def main():
    torch.set_num_threads(1)
    for name, settings in json.loads(Path(sys.argv[1]).read_text()).items():

        def show(metrics, name=name):
            if os.environ.get("RANK", "0") == "0":
                print(json.dumps({"run": name, **metrics}), flush=True)

        if "run_dir_of_rank" in settings:  # as hosts that share no folder
            settings["run_dir"] = settings["run_dir_of_rank"][int(os.environ["RANK"])]
        try:
            run(settings, show)
        except LrrayError as error:
            show({"error": str(error)})


if __name__ == "__main__":
    main()
