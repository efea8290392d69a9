"""Which sequences a run sees, in which order."""

import numpy as np
import pytest

from lrray.gssm import GSSM
from lrray.training.prefetch import Prefetcher
from lrray.training.streams import EpochSource, StreamSource, stream_seed


class CountingSource:
    """Row p holds p."""

    def rows(self, positions):
        return np.stack([positions, positions], axis=1)


class CountingGSSM(GSSM):
    """Knows how many sequences were drawn."""

    drawn = 0

    def sample(self, num_sequences, *arguments, **keys):
        self.drawn += num_sequences
        return super().sample(num_sequences, *arguments, **keys)


def test_training_validation_and_held_out_streams_never_meet():
    train = {stream_seed("train", seed) for seed in range(1000)}
    heldout = {stream_seed("heldout", seed) for seed in range(1000)}
    validation = {stream_seed("validation", seed) for seed in range(1000)}
    assert len(train) == len(heldout) == len(validation) == 1000
    assert {seed >> 62 for seed in train} == {1}
    assert {seed >> 62 for seed in heldout} == {2}
    assert {seed >> 62 for seed in validation} == {3}


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [8, 1024])
def test_global_batches_are_the_same_for_any_number_of_workers(world_size, batch_size):
    for batch in (0, 1, 2):
        shares = []
        for rank in range(world_size):
            with Prefetcher(CountingSource(), batch_size, rank, world_size, batch) as batches:
                shares.append(batches.next()[:, 0])
            assert (shares[-1] % world_size == rank).all()
        expected = np.arange(batch * batch_size, (batch + 1) * batch_size)
        np.testing.assert_array_equal(np.sort(np.concatenate(shares)), expected)


def test_batches_follow_each_other_across_blocks():
    with Prefetcher(CountingSource(), batch_size=100, rank=1, world_size=2) as batches:
        seen = np.concatenate([batches.next()[:, 0] for _ in range(9)])
    np.testing.assert_array_equal(seen, np.arange(1, 900, 2))


def test_a_stream_position_is_the_streams_sequence(gssm):
    source = StreamSource(gssm, seq_len=5, data_seed=7)
    expected = gssm.sample(40, 5, stream_seed("train", 7))
    positions = np.array([3, 4, 11, 12, 39])
    np.testing.assert_array_equal(source.rows(positions), expected[positions])


@pytest.mark.parametrize("positions", [[5], [3, 5, 7, 9], [0, 4, 8], range(9)])
def test_evenly_spaced_positions_are_drawn_without_those_between(gssm, positions):
    counting = CountingGSSM(gssm.graph, gssm.seed)
    rows = StreamSource(counting, seq_len=5, data_seed=7).rows(np.array(positions))
    expected = gssm.sample(21, 5, stream_seed("train", 7))[np.array(positions)]
    np.testing.assert_array_equal(rows, expected)
    assert counting.drawn == len(rows)


def test_an_epoch_holds_every_sequence_once_in_an_order_of_its_own():
    sequences = np.arange(10)[:, None]
    source = EpochSource(sequences, 7, shuffle_seed=3)
    first, second = source.rows(np.arange(7))[:, 0], source.rows(np.arange(7, 14))[:, 0]
    assert sorted(first) == sorted(second) == list(range(7))
    assert list(first) != list(second)
    across = EpochSource(sequences, 7, shuffle_seed=3).rows(np.arange(5, 10))[:, 0]
    assert list(across) == [*first[5:], *second[:3]]
    other = EpochSource(sequences, 7, shuffle_seed=4).rows(np.arange(7))[:, 0]
    assert list(other) != list(first)


def test_a_batch_larger_than_the_data_spans_epochs():
    rows = EpochSource(np.arange(3)[:, None], 3, shuffle_seed=0).rows(np.arange(9))
    assert sorted(rows[:, 0]) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_an_error_of_the_source_reaches_the_one_who_waits():
    class Broken:
        def rows(self, positions):
            raise OSError("the disk is gone")

    with Prefetcher(Broken(), 4) as batches, pytest.raises(OSError, match="the disk is gone"):
        batches.next()
