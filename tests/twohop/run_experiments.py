"""Experiments as a process of their own, for tests that kill one or start two workers.

Reads a JSON file of experiments by name; the first worker prints every evaluation as a line. With
two more words, a number of steps and of seconds, it kills itself that long after that many steps of
pretraining and fine-tuning.
"""

import itertools
import json
import os
import signal
import sys
import threading
from pathlib import Path

import torch

from lrray.twohop.config import ExperimentConfig
from lrray.twohop.experiment import run_experiment
from lrray.twohop.facts import shipped_facts
from lrray.twohop.learner import AnswerLearner

SMALL = {
    "model": "tiny_world",
    "tiny_world": {
        "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "steps": 3,
        "batch_size": 4, "other_people": 8, "noise_people": 4,
    },
    "data": {
        "people": 6, "shuffles": 2,
        "prompts": {"first_hop": "Fact.", "nocot": "At once.", "cot": "Step by step."},
    },
    "finetune": {
        "epochs": 3, "learning_rate": 0.003, "replay_rows": 2, "device": "cpu",
        "checkpoint_every": 1,
    },
    "evaluate": {"max_new_tokens": 4, "max_new_tokens_cot": 6, "batch_size": 16},
}  # fmt: skip


def small(**changes):
    """Settings of an experiment that takes a second; ``finetune={"epochs": 5}`` changes one."""
    merged = dict(SMALL)
    for key, value in changes.items():
        merged[key] = {**merged[key], **value} if isinstance(value, dict) else value
    return merged


def run(settings, folder, log=lambda point: None, seed=1):
    config = ExperimentConfig.model_validate(settings)
    return run_experiment(shipped_facts("parks"), config, seed, Path(folder), log)


def die(num_steps, seconds):
    """Kills this process that long after that many steps of any learner."""
    step, begun = AnswerLearner.answer_step, itertools.count()

    def counted(learner, rows, number):
        if next(begun) == num_steps:
            killing = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
            killing.daemon = True
            killing.start()
        return step(learner, rows, number)

    AnswerLearner.answer_step = counted


def main():
    torch.set_num_threads(1)
    if len(sys.argv) > 2:
        die(int(sys.argv[2]), float(sys.argv[3]))
    first = os.environ.get("RANK", "0") == "0"
    for name, (settings, folder) in json.loads(Path(sys.argv[1]).read_text()).items():

        def show(point, name=name):
            if first:
                print(json.dumps({"run": name, **point}), flush=True)

        run(settings, folder, show)


if __name__ == "__main__":
    main()
