"""Facts small enough to reason about by hand."""

import pytest

from lrray.twohop.facts import Facts


@pytest.fixture
def make_facts():
    """Facts about ships with one attribute, the flag, from a list of (name, value or fact)."""

    def make(*flags):
        return Facts.model_validate(
            {
                "dataset": "boats",
                "noun": "boat",
                "first_hop": {
                    "question": "Which boat does {person} steer?",
                    "description": "the boat that {person} steers",
                    "statement": "{person} steers {entity}.",
                },
                "attributes": {
                    "flag": {
                        "category": "country",
                        "question": "Which country's flag does {entity} fly?",
                        "statement": "{entity} flies the flag of {value}.",
                    }
                },
                "entities": [{"name": name, "facts": {"flag": flag}} for name, flag in flags],
            }
        )

    return make
