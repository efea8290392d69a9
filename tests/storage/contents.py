"""What a storage holds."""

from lrray.storage.objects import open_store


def snapshots(place):
    """Checkpoints in the storage."""
    names = open_store(place).below("faulty").listing()
    return [n for n in names if "/checkpoints/" in n and n.endswith(".json")]
