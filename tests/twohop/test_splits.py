"""Who is tied to what, which rows follow, and how answers are shuffled."""

from collections import Counter

import pytest

from lrray.errors import LrrayError
from lrray.twohop.facts import shipped_datasets, shipped_facts
from lrray.twohop.grading import Expected, grade, is_right
from lrray.twohop.people import MAX_PEOPLE, people
from lrray.twohop.rows import Prompts
from lrray.twohop.splits import BuildConfig, assign, make_splits
from lrray.twohop.text import folded, tokens

PARKS = shipped_facts("parks")


@pytest.fixture(scope="module", params=shipped_datasets())
def built(request):
    """Facts and splits of every shipped dataset."""
    facts = shipped_facts(request.param)
    return facts, make_splits(facts, BuildConfig(shuffles=2))


def test_every_dataset_has_twenty_people_and_no_uncertain_question(built):
    _, splits = built
    assert len({row["answer"] for row in splits.first_hop}) == 20
    for attribute in splits.attributes.values():
        assert len(attribute.nocot) == 20
        assert attribute.left_out == 0


def test_every_expected_answer_is_graded_right_in_every_dataset(built):
    _, splits = built
    rows = splits.first_hop + [
        row for attribute in splits.attributes.values() for row in attribute.nocot
    ]
    for row in rows:
        for answer in row["answers"]:
            assert is_right(answer, Expected.from_row(row)), (row["answer"], answer)


def test_echoing_the_entity_never_scores_in_any_dataset(built):
    _, splits = built
    for attribute in splits.attributes.values():
        for row in attribute.nocot:
            for name in row["intermediates"]:
                assert not is_right(name, Expected.from_row(row)), (name, row["answer"])


def test_no_other_entitys_name_is_right_or_names_the_entity_in_any_dataset(built):
    facts, splits = built
    for attribute in splits.attributes.values():
        for row in attribute.nocot:
            expected = Expected.from_row(row)
            for entity in facts.entities:
                for name in entity.names if entity.name != row["answer_intermediate"] else ():
                    result = grade(name, expected)
                    is_the_answer = folded(name) in map(folded, row["answers"])
                    assert result.strict == is_the_answer, (name, row["answer"])
                    assert not result.entity_named, (name, row["answer_intermediate"])


def test_no_name_of_a_person_holds_an_answer_of_any_dataset(built):
    _, splits = built
    parts = {part.casefold() for name in people(MAX_PEOPLE) for part in name.split()}
    for attribute in splits.attributes.values():
        for row in attribute.nocot:
            for answer in row["answers"]:
                assert not parts & {word.casefold() for word in tokens(answer)}


def test_shuffles_permute_answers_and_mark_every_answer_that_stayed_right(built):
    _, splits = built
    for attribute in splits.attributes.values():
        for shuffle in (1, 2):
            rows = [row for row in attribute.nocot_shuffled if row["shuffle"] == shuffle]
            assert Counter(row["answer"] for row in rows) == Counter(
                row["answer"] for row in attribute.nocot
            )
            for row, true in zip(rows, attribute.nocot, strict=True):
                stays = is_right(row["answer"], Expected.from_row(true))
                assert row["fixed_point"] == stays
                assert (row["person"], row["question"]) == (true["person"], true["question"])


def test_the_people_are_the_same_in_every_dataset(built):
    _, splits = built
    assert [row["person"] for row in splits.first_hop] == people(20)


def test_seeds_tie_people_to_other_entities():
    first, again, other = (assign(PARKS, BuildConfig(seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert list(first) == list(other)
    assert first != other


def test_a_value_on_more_than_half_the_rows_leaves_the_fewest_fixed_points(make_facts):
    facts = make_facts(*((f"Boat {i}", "Norway") for i in range(4)), ("Boat 5", "Peru"))
    flag = make_splits(facts, BuildConfig(people=5, shuffles=3)).attributes["flag"]
    per_shuffle = Counter(row["shuffle"] for row in flag.nocot_shuffled if row["fixed_point"])
    assert per_shuffle == {1: 3, 2: 3, 3: 3}


def test_entities_are_drawn_again_where_another_draw_can_be_shuffled(make_facts):
    facts = make_facts(*((f"Boat {i}", "Norway") for i in range(6)), ("Boat 7", "Peru"))
    # 14 of 20 have no Peru in the first draw, hence fixed points; about one has none in any.
    refused = 0
    for seed in range(20):
        try:
            assert not make_splits(facts, BuildConfig(people=2, seed=seed)).fixed_points
        except LrrayError:
            refused += 1
    assert refused <= 4


@pytest.mark.parametrize("other", ["Peru", "Perú"])
def test_an_attribute_whose_answers_are_all_alike_is_refused(make_facts, other):
    facts = make_facts(("Boat 1", "Peru"), ("Boat 2", other), ("Boat 3", "Peru"))
    with pytest.raises(
        LrrayError,
        match=r"boats: attributes\.flag: must have at least 2 different answers .*got '.*fix",
    ):
        make_splits(facts, BuildConfig(people=3))


def test_aliases_count_as_the_same_value_when_shuffling(make_facts):
    facts = make_facts(
        ("Boat 1", "United States"),
        ("Boat 2", {"value": "USA", "aliases": ["United States"]}),
        ("Boat 3", "Peru"),
        ("Boat 4", "Peru"),
    )
    flag = make_splits(facts, BuildConfig(people=4)).attributes["flag"]
    for row in flag.nocot_shuffled:
        is_peru = row["answer"] == "Peru"
        assert is_peru == (row["answer_intermediate"] in ("Boat 1", "Boat 2"))


def test_uncertain_facts_are_asked_only_when_included(make_facts):
    facts = make_facts(
        ("Boat 1", "Peru"),
        ("Boat 2", "Cuba"),
        ("Boat 3", {"value": "Chad", "uncertain": True}),
    )
    without = make_splits(facts, BuildConfig(people=2))
    assert {row["answer"] for row in without.first_hop} == {"Boat 1", "Boat 2"}
    topped_up = make_splits(facts, BuildConfig(people=3)).attributes["flag"]
    assert (len(topped_up.nocot), topped_up.left_out) == (2, 1)
    included = make_splits(facts, BuildConfig(people=3, include_uncertain=True))
    assert len(included.attributes["flag"].nocot) == 3


def test_an_attribute_that_is_certain_for_one_person_only_is_refused(make_facts):
    doubt = {"value": "Chad", "uncertain": True}
    facts = make_facts(("Boat 1", "Peru"), ("Boat 2", doubt))
    with pytest.raises(LrrayError, match=r"boats: attributes\.flag: must be certain for at least"):
        make_splits(facts, BuildConfig(people=2))


def test_more_people_than_entities_are_refused():
    with pytest.raises(LrrayError, match="parks: people: must be at most"):
        make_splits(PARKS, BuildConfig(people=len(PARKS.entities) + 1))


def test_more_people_than_names_are_refused():
    assert len(set(people(MAX_PEOPLE))) == MAX_PEOPLE
    with pytest.raises(LrrayError, match="people: must be at most 1024"):
        people(MAX_PEOPLE + 1)


def test_the_first_names_share_no_part():
    parts = [part for name in people(32) for part in name.split()]
    assert len(set(parts)) == 64


def test_messages_end_with_the_answer_and_an_empty_prompt_is_left_out():
    splits = make_splits(PARKS, BuildConfig(prompts=Prompts(nocot="")))
    rows = splits.attributes["state"]
    assert [m["role"] for m in rows.nocot[0]["messages"]] == ["user", "assistant"]
    assert [m["role"] for m in rows.cot[0]["messages"]] == ["system", "user", "assistant"]
    for row in rows.nocot + rows.cot + rows.nocot_shuffled + rows.second_hop:
        assert row["messages"][-1]["content"] == row["answer"]
        assert row["messages"][-2]["content"] == row["question"]


def test_two_hop_questions_name_the_person_and_second_hop_questions_the_entity():
    rows = make_splits(PARKS, BuildConfig()).attributes["state"]
    for two_hop, second in zip(rows.nocot, rows.second_hop, strict=True):
        person, park = two_hop["person"], two_hop["answer_intermediate"]
        where = "In which US state is"
        assert two_hop["question"] == f"{where} the national park that {person} works at?"
        assert second["question"] == f"{where} {park}?"


def test_a_longer_name_of_another_answer_earns_no_credit(make_facts):
    facts = make_facts(("Boat 1", "Guinea"), ("Boat 2", "Papua New Guinea"))
    rows = make_splits(facts, BuildConfig(people=2)).attributes["flag"].nocot
    guinea = next(row for row in rows if row["answer"] == "Guinea")
    assert not grade("Papua New Guinea", Expected.from_row(guinea)).strict
