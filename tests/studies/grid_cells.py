"""A function with any settings, for grids that are only expanded."""


def any_settings(**settings):
    """Returns how many settings it was given."""
    return {"num": float(len(settings))}
