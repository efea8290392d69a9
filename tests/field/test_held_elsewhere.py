"""Complaints of users that no row of a table can express, and the tests that hold them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

HELD: dict[str, tuple[str, ...]] = {
    "a loss and an evaluation of one step become two records, and one is lost": (
        "results/test_curves.py::test_a_loss_and_an_evaluation_of_one_step_are_one_point",
        "tracking/test_tracking.py::"
        "test_what_is_logged_of_one_step_in_two_lines_is_one_step_of_wandb_and_tensorboard",
    ),
    "a scheduler that is documented ends in a traceback": (
        "field/test_options.py::test_the_study_runs",
    ),
    "a grid with fewer points than trials tries one of them again and again": (
        "search/test_searched_cells.py::test_a_grid_ends_when_it_is_exhausted",
        "sweeps/test_sweeps.py::test_a_grid_sweep_makes_as_many_trials_as_its_grid_has_points",
    ),
    "a function leaves another working folder to the cells after it": (
        "execution/test_isolation.py::test_what_a_cell_changes_is_as_before",
    ),
    "a function leaves the process": (
        "execution/test_study_worker.py::test_a_cell_that_leaves_by_os_exit_says_so",
    ),
    "a folder for temporary files whose path is too long for sockets": (
        "execution/test_ray_files.py::test_a_folder_too_long_for_sockets_is_passed_over",
    ),
    "a cell's child processes take more memory than the cell may": (
        "execution/test_study_worker.py::"
        "test_memory_of_a_cells_children_counts_and_they_end_with_it",
    ),
    "the terminal is closed while a study runs": (
        "faults/test_killed_drivers.py::"
        "test_a_polite_stop_says_how_to_go_on_and_going_on_finishes",
    ),
    "two studies in different folders have one name": (
        "runs/test_choose.py::test_a_run_of_another_study_of_that_name_is_not_continued",
    ),
    "a tokenizer's padding token is outside of the vocabulary": (
        "twohop/test_foreign_models.py::"
        "test_a_padding_token_outside_the_vocabulary_is_told_at_load",
    ),
    "a chat is longer than the model's context": (
        "twohop/test_foreign_models.py::test_chats_longer_than_the_context_are_told_at_load",
    ),
    "a chat template writes today's date": (
        "twohop/test_foreign_models.py::"
        "test_a_template_with_todays_date_writes_the_same_every_day",
        "twohop/test_foreign_models.py::test_a_date_that_cannot_be_frozen_is_refused",
    ),
    "a model brings generation settings of its own": (
        "twohop/test_foreign_models.py::"
        "test_a_models_own_generation_settings_change_no_answer",
    ),
    "folders that are full or read-only, few open files, much output, odd names": (
        "faults/test_odd_machines.py::"
        "test_a_full_or_read_only_place_is_passed_over_or_named",
        "faults/test_odd_machines.py::test_few_open_files",
        "faults/test_odd_machines.py::test_a_hundred_megabytes_of_prints",
        "faults/test_odd_machines.py::"
        "test_a_folder_with_spaces_brackets_a_newline_and_200_characters",
    ),
}  # fmt: skip
"""What people complain of -> the tests that hold it."""


@pytest.mark.parametrize("complaint", HELD)
def test_the_tests_that_hold_a_complaint_are_there(complaint: str) -> None:
    for test in HELD[complaint]:
        path, _, name = test.partition("::")
        tree = ast.parse((TESTS / path).read_text())
        assert name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
