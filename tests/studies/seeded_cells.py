"""A cell that would mix up its seeds if they shared a checkpoint."""

from lrray.studies.kind import CellContext


def remembers(rate: float, seed: int, context: CellContext) -> dict[str, float]:
    """Gives the rate times the seed that it was first called with in its checkpoint folder."""
    place = context.checkpoint / "seed"
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        place.write_text(str(seed))
    for step in range(1, 4):
        context.log({"step": step, "loss": rate * seed / step})
    return {"loss": rate * int(place.read_text())}
