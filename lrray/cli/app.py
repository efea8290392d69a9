"""The ``lrray`` console script."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrray.cli.cluster import fetch, follow, status, stop, submit
from lrray.cli.compare import compare
from lrray.cli.data import app as data
from lrray.cli.notice import saying
from lrray.cli.runs import app as runs
from lrray.cli.study import run_app, study
from lrray.cli.sweep import app as sweep
from lrray.cli.twohop import app as twohop
from lrray.errors import LrrayError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A Ray-distributed study platform for the science of latent reasoning.",
)
app.command()(study)
app.command()(compare)
for command in (submit, follow, status, stop, fetch):
    app.command(rich_help_panel="On a cluster")(command)
app.add_typer(data, name="data")
app.add_typer(runs, name="runs")
app.add_typer(sweep, name="sweep")
app.add_typer(twohop, name="twohop")


def _show_version(asked: bool) -> None:
    if asked:
        import lrray

        print(f"lrray {lrray.__version__}")
        raise typer.Exit


@app.callback()
def _commands(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """A Ray-distributed study platform for the science of latent reasoning."""


Results = Annotated[
    Path, typer.Argument(help="A run's folder, a study's folder, or the whole results folder.")
]


@app.command()
def board(
    results: Results = Path("results"),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address and open nothing.")
    ] = False,
) -> None:
    """Show results on a local page: live while a study runs, and read-only."""
    from lrray.reports.board.server import serve

    serve(results, port, open_browser=not no_browser)


@app.command()
def report(
    results: Results = Path("results"),
    page: Annotated[
        Path | None,
        typer.Option(help="Also write README.md, figures and tables to this folder, to commit."),
    ] = None,
) -> None:
    """Write report.html, figures and tables of a run, or of the newest run of every study."""
    from lrray.reports.report import write_page, write_report
    from lrray.results.run import newest_runs

    runs = newest_runs(results)
    if page is not None and len(runs) > 1:
        raise LrrayError(
            "--page", "needs a single run", got=str(results), fix="name a run's folder"
        )
    for run in runs:
        with saying(f"writing the report of {run.name}"):
            written = write_report(run.path)[0] if page is None else write_page(run.path, page)
        print(written)


def main() -> None:
    """Entry of the console script."""
    run_app(app)
