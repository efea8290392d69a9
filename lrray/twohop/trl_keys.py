"""Keys of trl's and accelerate's YAML files, as far as they have a counterpart here."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from lrray.config import Problem

_RENAMED = {
    "num_train_epochs": "epochs",
    "lr_scheduler_type": "schedule",
}

_WITHOUT_COUNTERPART = """
output_dir overwrite_output_dir run_name report_to logging_steps logging_strategy
logging_first_step eval_strategy evaluation_strategy eval_steps eval_on_start save_strategy
save_steps save_total_limit save_only_model load_best_model_at_end metric_for_best_model
per_device_eval_batch_size eval_accumulation_steps batch_eval_metrics remove_unused_columns
dataloader_num_workers dataloader_drop_last push_to_hub seed data_seed do_train do_eval
optim max_seq_length max_length packing dataset_text_field dataset_kwargs
gradient_checkpointing_kwargs warmup_ratio warmup_steps torch_dtype attn_implementation
completion_only_loss assistant_only_loss fsdp fsdp_config deepspeed ddp_find_unused_parameters
compute_environment debug distributed_type downcast_bf16 machine_rank main_training_function
num_machines rdzv_backend same_network tpu_env tpu_use_cluster tpu_use_sudo use_cpu
enable_cpu_affinity main_process_port
"""
_IGNORED = frozenset(_WITHOUT_COUNTERPART.split())
"""Known, and without a counterpart: logging, saving and launching are the study's own matter."""

_BATCH = ("per_device_train_batch_size", "gradient_accumulation_steps", "num_processes")


def translate(data: Any) -> Any:
    """Settings with trl's keys turned into this package's; says which are ignored, once.

    - ``num_train_epochs`` → ``epochs``, ``lr_scheduler_type`` → ``schedule``
    - ``per_device_train_batch_size`` → ``micro_batch_size``, and times
      ``gradient_accumulation_steps`` times ``num_processes`` → ``batch_size``
    - ``adam_beta1``, ``adam_beta2`` → ``betas``
    - ``bf16``, ``mixed_precision`` (``no`` or ``bf16``) → ``precision``

    Anything that is no mapping, and keys that are unknown here, pass through to be refused.

    Raises:
        Problem: a precision that there is none of here, such as ``fp16``.
    """
    if not isinstance(data, Mapping):
        return data
    given = dict(data)
    ignored = sorted(key for key in given if key in _IGNORED and _matters(key, given[key]))
    if ignored:
        _say_ignored(", ".join(ignored))
    own = {_RENAMED.get(key, key): value for key, value in given.items() if key not in _IGNORED}
    _translate_batch(own)
    _translate_precision(own)
    if "adam_beta1" in own or "adam_beta2" in own:
        own["betas"] = (own.pop("adam_beta1", 0.9), own.pop("adam_beta2", 0.999))
    return own


def _matters(key: str, value: Any) -> bool:
    """A warm-up of 0 steps is what happens anyway."""
    return not (key.startswith("warmup_") and value == 0)


def _translate_batch(own: dict[str, Any]) -> None:
    if "batch_size" in own or not any(key in own for key in _BATCH):
        return
    if _BATCH[0] in own:
        own.setdefault("micro_batch_size", own[_BATCH[0]])
    factors = [own.pop(key) for key in _BATCH if key in own]
    whole = all(isinstance(factor, int) for factor in factors)
    # What is no number is refused, with its value, when the settings are checked.
    own["batch_size"] = math.prod(factors) if whole else factors


def _translate_precision(own: dict[str, Any]) -> None:
    if "bf16" in own:
        own.setdefault("precision", "bf16" if own["bf16"] is True else "float32")
        del own["bf16"]
    if "mixed_precision" in own:
        given = own.pop("mixed_precision")
        # YAML reads a bare no as false.
        if given not in (False, "no", "bf16"):
            raise Problem(
                "must be 'no' or 'bf16'", at="mixed_precision", got=given, fix="precision: bf16"
            )
        own.setdefault("precision", "bf16" if given == "bf16" else "float32")


@cache
def _say_ignored(names: str) -> None:
    logging.getLogger(__name__).warning(
        "finetune: ignored, for they have no meaning here: %s", names
    )
