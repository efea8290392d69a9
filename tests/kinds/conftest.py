"""Facts small enough to reason about by hand, as the tests of two-hop have them."""

from tests.twohop.conftest import make_facts

__all__ = ["make_facts"]
