"""``lrray twohop``: two-hop datasets from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Two-hop datasets: facts to rows.")


@app.callback()
def _commands() -> None:
    """Two-hop datasets: facts to rows."""


@app.command()
def build(
    datasets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DATASET]... | all", help="Shipped datasets, or all of them."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides who is tied to what.")] = 0,
    people: Annotated[int, typer.Option(min=2, help="Number of people.")] = 20,
    out: Annotated[Path, typer.Option(help="Folder for the datasets.")] = Path("data"),
    facts: Annotated[
        list[Path] | None, typer.Option(help="A facts file of your own; may be given again.")
    ] = None,
) -> None:
    """Write the rows of datasets as JSONL, with a manifest of checksums and chance levels."""
    from lrray.errors import LrrayError
    from lrray.twohop.build import build_dataset
    from lrray.twohop.facts import choose_facts
    from lrray.twohop.splits import BuildConfig

    if not datasets and not facts:
        raise LrrayError("DATASET", "name a dataset", fix="lrray twohop build parks, or all")
    config = BuildConfig(seed=seed, people=people)
    for chosen in choose_facts(datasets or (), facts or ()):
        manifest = build_dataset(chosen, config, out)
        biased = [name for name, entry in manifest["attributes"].items() if not entry["deranged"]]
        note = f"  some shuffled rows keep a right answer: {', '.join(biased)}" if biased else ""
        print(f"{out / chosen.dataset}  {len(manifest['attributes'])} attributes{note}")
