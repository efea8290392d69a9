"""Keys of trl's and accelerate's YAML files, as far as they have a counterpart here."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from lrray.config import Problem

_RENAMED = {
    "num_train_epochs": "epochs",
    "lr_scheduler_type": "schedule",
}

_WITHOUT_COUNTERPART = """
output_dir overwrite_output_dir run_name report_to logging_steps logging_strategy logging_dir
logging_first_step log_level log_level_replica disable_tqdm eval_strategy evaluation_strategy
eval_steps eval_on_start eval_delay do_train do_eval do_predict save_strategy save_steps
save_total_limit save_only_model save_safetensors load_best_model_at_end metric_for_best_model
greater_is_better resume_from_checkpoint push_to_hub hub_model_id hub_strategy hub_token
hub_private_repo per_device_eval_batch_size eval_accumulation_steps batch_eval_metrics
remove_unused_columns dataloader_num_workers dataloader_drop_last dataloader_pin_memory
dataloader_persistent_workers dataloader_prefetch_factor dataset_num_proc seed data_seed
max_seq_length max_length dataset_text_field dataset_kwargs dataset_name dataset_config
dataset_train_split dataset_test_split gradient_checkpointing_kwargs torch_dtype dtype
attn_implementation attn_implementation_name use_liger_kernel use_liger torch_compile
torch_compile_backend torch_compile_mode tf32 skip_memory_metrics include_tokens_per_second
include_num_input_tokens_seen average_tokens_across_devices full_determinism
model_name_or_path model_revision trust_remote_code tokenizer_name_or_path
fsdp fsdp_config fsdp_min_num_params deepspeed deepspeed_config ddp_find_unused_parameters
ddp_bucket_cap_mb ddp_broadcast_buffers ddp_timeout ddp_backend compute_environment debug
distributed_type downcast_bf16 machine_rank main_training_function num_machines rdzv_backend
rdzv_conf same_network tpu_env tpu_use_cluster tpu_use_sudo tpu_name tpu_zone use_cpu
enable_cpu_affinity main_process_port main_process_ip gpu_ids dynamo_backend dynamo_config
megatron_lm_config parallelism_config mpirun_config ipex_config command_file commands
local_rank use_mps_device no_cuda
"""
_IGNORED = frozenset(_WITHOUT_COUNTERPART.split())
"""Known, and without a counterpart: logging, saving and launching are the study's own matter."""

_HARMLESS: dict[str, tuple[Any, ...]] = {
    "fp16": (False,),
    "fp16_full_eval": (False,),
    "bf16_full_eval": (False,),
    "fp8_config": (None, {}),
    "fp8_backend": (None,),
    "warmup_ratio": (0,),
    "warmup_steps": (0,),
    "optim": ("adamw_torch", "adamw_torch_fused", "adamw_hf", "adamw_apex_fused"),
    "optim_args": (None,),
    "adam_epsilon": (1e-8,),
    "lr_scheduler_kwargs": (None, {}),
    "label_smoothing_factor": (0,),
    "neftune_noise_alpha": (None,),
    "packing": (False,),
    "group_by_length": (False,),
    "max_steps": (-1,),
    "completion_only_loss": (True, None),
    "assistant_only_loss": (True, None),
    "use_peft": (False,),
    "load_in_8bit": (False,),
    "load_in_4bit": (False,),
}
"""Keys that change results, and their values that say what happens here anyway."""

_TRANSLATED = ("adam_beta1", "adam_beta2", "bf16", "mixed_precision")
_BATCH = ("per_device_train_batch_size", "gradient_accumulation_steps", "num_processes")


def translate(data: Any, known: Collection[str]) -> Any:
    """Settings with trl's keys turned into this package's; says which are ignored, once.

    - ``num_train_epochs`` → ``epochs``, ``lr_scheduler_type`` → ``schedule``
    - ``per_device_train_batch_size`` → ``micro_batch_size``, and times
      ``gradient_accumulation_steps`` times ``num_processes`` → ``batch_size``
    - ``adam_beta1``, ``adam_beta2`` → ``betas``
    - ``bf16``, ``mixed_precision`` (``no`` or ``bf16``) → ``precision``

    Anything that is no mapping, and a key that is unknown here, pass through to be refused.

    Args:
        data: what stands below ``finetune``.
        known: this package's own keys.

    Raises:
        Problem: keys that change results in a way that there is none of here, such as ``fp16:
            true`` or a warm-up; all of them at once.
    """
    if not isinstance(data, Mapping):
        return data
    given = dict(data)
    _refuse_what_changes_results(given, known)
    ignored = sorted(key for key in given if key in _IGNORED)
    if ignored:
        _say_ignored(", ".join(ignored))
    known_here = _IGNORED | _HARMLESS.keys()
    own = {_RENAMED.get(key, key): value for key, value in given.items() if key not in known_here}
    _translate_batch(own)
    _translate_precision(own)
    if "adam_beta1" in own or "adam_beta2" in own:
        own["betas"] = (own.pop("adam_beta1", 0.9), own.pop("adam_beta2", 0.999))
    return own


def _refuse_what_changes_results(given: Mapping[str, Any], known: Collection[str]) -> None:
    """One line for all keys that would, and for those that nobody knows where there are several."""
    changing = [
        f"{key}: {value}" for key, value in given.items()
        if key in _HARMLESS and not any(_same(value, fine) for fine in _HARMLESS[key])
    ]  # fmt: skip
    here = {*known, *_RENAMED, *_IGNORED, *_HARMLESS, *_BATCH, *_TRANSLATED}
    unknown = [str(key) for key in given if key not in here]
    if not changing and len(unknown) < 2:
        return  # a single slip of the pen is told where all of them are
    parts = []
    if changing:
        parts.append(f"results would change, and there is no counterpart of {', '.join(changing)}")
    if unknown:
        parts.append(f"unknown keys {', '.join(unknown)}")
    raise Problem("; ".join(parts), fix="take these lines out")


def _same(value: Any, fine: Any) -> bool:
    """0 is no False here."""
    return value == fine and isinstance(value, bool) == isinstance(fine, bool)


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
