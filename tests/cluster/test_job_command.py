"""The command that a submitted study is started with on the cluster."""

from __future__ import annotations

from lrray.cluster.jobs import StudyJob


def test_options_of_a_continued_run_go_along() -> None:
    job = StudyJob(
        name="rates", overrides=["seed=1"], title="rates", out="/shared/results", resume=True,
        retry_failed=False, keep_code=True,
    )  # fmt: skip
    assert job.entrypoint() == (
        "python -m lrray.study rates seed=1 --address auto --resume --keep-code "
        "--out /shared/results"
    )
