"""The ``lrray`` console script."""

from __future__ import annotations

import typer

from lrray.study import run_app, study

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A Ray-distributed study platform for the science of latent reasoning.",
)
app.command()(study)


@app.callback()
def _commands() -> None:
    """A Ray-distributed study platform for the science of latent reasoning."""


def main() -> None:
    """Entry of the console script."""
    run_app(app)
