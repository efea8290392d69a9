"""Every shipped facts file keeps the rules; a broken file of the user's is explained."""

from pathlib import Path

import pytest
import yaml

from lrray.errors import LrrayError, ManyErrors
from lrray.twohop.facts import choose_facts, load_facts, shipped_datasets, shipped_facts
from lrray.twohop.grading import Expected, grade
from lrray.twohop.places import other_names
from lrray.twohop.rows import two_hop_row
from lrray.twohop.text import folded, stands_in

SMALL = {
    "dataset": "rivers",
    "noun": "river",
    "first_hop": {
        "question": "Which river does {person} sail on?",
        "description": "the river that {person} sails on",
        "statement": "{person} sails on {entity}.",
    },
    "attributes": {
        "length_km": {
            "category": "number",
            "type": "integer",
            "range": [100, 7000],
            "question": "How long is {entity}, in kilometres?",
            "statement": "{entity} is {value} kilometres long.",
        },
        "mouth": {
            "category": "place",
            "question": "Where does {entity} end?",
            "statement": "{entity} flows into {value}.",
        },
    },
    "entities": [
        {
            "name": "Danube",
            "aliases": ["Donau"],
            "facts": {"length_km": 2850, "mouth": "Black Sea"},
        },
        {"name": "Rhine", "facts": {"length_km": 1233, "mouth": "North Sea"}},
    ],
}


@pytest.fixture
def rivers(tmp_path):
    """Writes the small file with some of its keys changed, and returns its path."""

    def write(changes):
        data = yaml.safe_load(yaml.safe_dump(SMALL))
        for path, value in changes.items():
            *parents, last = path
            target = data
            for key in parents:
                target = target[key]
            if value is None:
                del target[last]
            else:
                target[last] = value
        file = tmp_path / "rivers.yaml"
        file.write_text(yaml.safe_dump(data), encoding="utf-8")
        return file

    return write


@pytest.mark.parametrize("dataset", shipped_datasets())
def test_every_shipped_file_loads_under_its_own_name(dataset):
    assert shipped_facts(dataset).dataset == dataset


@pytest.mark.parametrize("dataset", shipped_datasets())
def test_at_least_twenty_entities_have_certain_facts_alone(dataset):
    assert sum(entity.is_certain for entity in shipped_facts(dataset).entities) >= 20


@pytest.mark.parametrize("dataset", shipped_datasets())
def test_years_and_numbers_are_integers_and_everything_else_is_text(dataset):
    facts = shipped_facts(dataset)
    for name, attribute in facts.attributes.items():
        is_number = attribute.category in ("year", "number", "century")
        assert (attribute.type == "integer") == is_number, name
        if is_number:
            assert attribute.bounds is not None, name


@pytest.mark.parametrize("dataset", shipped_datasets())
def test_questions_never_name_the_entity_or_its_answer(dataset):
    facts = shipped_facts(dataset)
    for name in facts.attributes:
        question = facts.two_hop_question("Somebody", name)
        for entity in facts.entities:
            for own in entity.names:
                assert not stands_in(own, question), (own, name)
            assert not stands_in(entity.facts[name].text, question), (entity.name, name)


@pytest.mark.parametrize("dataset", shipped_datasets())
def test_an_answer_inside_the_name_of_the_entity_is_flagged(dataset):
    facts = shipped_facts(dataset)
    for entity in facts.entities:
        for name in facts.attributes:
            inside = entity.facts[name].text.casefold() in entity.name.casefold()
            assert facts.value_is_in_name(entity, name) or not inside


@pytest.mark.parametrize("dataset", shipped_datasets())
def test_no_value_is_written_in_two_ways(dataset):
    facts = shipped_facts(dataset)
    for name in facts.attributes:
        values = {entity.facts[name].text for entity in facts.entities}
        assert len({folded(value) for value in values}) == len(values) or (
            facts.attributes[name].type == "symbol"
        )


@pytest.mark.parametrize(
    ("dataset", "entity", "attribute", "text", "right"),
    [
        ("universities", "University of Oxford", "country", "England", True),
        ("universities", "University of Oxford", "country", "Scotland", False),
        ("universities", "University of Edinburgh", "country", "Scotland", True),
        ("subway_systems", "Glasgow Subway", "country", "England", False),
        ("subway_systems", "Glasgow Subway", "country", "Scotland", True),
        ("subway_systems", "London Underground", "country", "UK", True),
        ("ancient_cities", "Lugdunum", "founding_century_bc", "the first century BC", True),
        ("constellations", "Taurus", "hemisphere", "northern", False),
        ("constellations", "Leo", "hemisphere", "both", True),
    ],
)
def test_facts_that_are_easily_told_wrong(dataset, entity, attribute, text, right):
    facts = shipped_facts(dataset)
    (found,) = (each for each in facts.entities if each.name == entity)
    row = two_hop_row(facts, "Alvo Tarnwick", found, attribute, "")
    assert grade(text, Expected.from_row(row)).strict is right


def test_disputed_facts_are_marked():
    entities = {entity.name: entity for entity in shipped_facts("programming_languages").entities}
    assert entities["COBOL"].facts["creator_last_name"].uncertain


def test_a_users_file_loads_and_joins_all_its_aliases(rivers):
    facts = load_facts(rivers({("attributes", "mouth", "aliases"): {"Black Sea": ["Pontus"]}}))
    assert facts.answers(facts.entities[0], "mouth") == ("Black Sea", "Pontus")


def test_countries_have_their_other_names_in_every_file(rivers):
    facts = load_facts(
        rivers(
            {
                ("attributes", "mouth", "category"): "country",
                ("entities", 0, "facts", "mouth"): "United States",
            }
        )
    )
    assert {"USA", "US", "United States"} <= set(facts.answers(facts.entities[0], "mouth"))


def test_a_place_without_other_names_has_none():
    assert other_names("country", "France") == ()
    assert other_names("person", "Davy") == ()


BROKEN = [
    ({("noun",): None}, "noun", "this key is required"),
    ({("nuon",): "x"}, "", "unknown key 'nuon'"),
    ({("dataset",): "my rivers!"}, "dataset", "match pattern"),
    ({("attributes", "mouth", "category"): "county"}, "attributes.mouth.category", "'country'"),
    ({("attributes", "mouth", "question"): "Where?"}, "attributes.mouth.question", "{entity}"),
    ({("attributes", "mouth", "statement"): "{"}, "attributes.mouth.statement", "{entity}"),
    ({("first_hop", "description"): "the river"}, "first_hop.description", "{person}"),
    ({("first_hop", "statement"): "{person} sails."}, "first_hop.statement", "{entity}"),
    ({("attributes", "mouth", "aliases"): {"Red Sea": ["x"]}}, "mouth.aliases", "'Red Sea'"),
    ({("entities", 1, "name"): "Donau"}, "entities[1]", "belongs to 'Danube' already"),
    ({("entities", 1, "name"): "Danube"}, "entities[1]", "belongs to 'Danube' already"),
    ({("entities", 1, "facts", "mouth"): None}, "entities[1].facts", "lacks 'mouth'"),
    ({("entities", 1, "facts", "muoth"): "x"}, "entities[1].facts", "did you mean 'mouth'?"),
    ({("entities", 1, "facts", "mouth"): 7}, "entities[1].facts.mouth", "must be text"),
    ({("entities", 1, "facts", "mouth"): False}, "entities[1].facts.mouth", "in quotes"),
    ({("entities", 1, "facts", "mouth"): ""}, "entities[1].facts.mouth", "must be text"),
    ({("entities", 1, "facts", "length_km"): "long"}, "entities[1].facts.length_km", "whole"),
    ({("entities", 1, "facts", "length_km"): 12.5}, "entities[1].facts.length_km", "whole"),
    ({("entities", 1, "facts", "length_km"): 9}, "entities[1].facts.length_km", "100 and 7000"),
    ({("entities", 1, "facts", "mouth"): "rhine"}, "entities[1].facts.mouth", "echo would score"),
    ({("entities",): []}, "entities", "at least 2"),
]


@pytest.mark.parametrize(("changes", "path", "message"), BROKEN)
def test_a_broken_file_gets_one_line_with_file_and_key_path(rivers, changes, path, message):
    file = rivers(changes)
    with pytest.raises(LrrayError) as caught:
        load_facts(file)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{file}: ")
    assert path in line
    assert message in line
    assert "(fix: " in line


def test_an_uncertain_answer_may_be_a_name_of_its_entity(rivers):
    fact = {"value": "Rhine", "uncertain": True}
    assert not load_facts(rivers({("entities", 1, "facts", "mouth"): fact})).entities[1].is_certain


# Skeletons of answers that know nothing, with the little words that running text is made of.
EMPTY_ANSWERS = [
    "To answer this, I'm going to look for what I know. He's one for whom I ever need an answer.",
    "It's, e.g., the best of them, but I can't tell. Let's see: so I don't know.",
    "Step 1: Identify it.\nStep 2: Recall the fact.\nStep 3: Combine.\nStep 4: I don't know.",
    "1. First, I need to find it.\n2. Second, recall the fact.\n3. Third, combine them.",
]


@pytest.mark.parametrize("dataset", shipped_datasets())
def test_an_answer_that_knows_nothing_is_right_nowhere(dataset):
    facts = shipped_facts(dataset)
    for name in facts.attributes:
        for entity in facts.entities:
            row = two_hop_row(facts, "Alvo Tarnwick", entity, name, "")
            for text in EMPTY_ANSWERS if not entity.facts[name].uncertain else ():
                assert not grade(text, Expected.from_row(row)).strict, (entity.name, name)


def test_several_mistakes_get_a_line_each(rivers):
    file = rivers(
        {
            ("attributes", "mouth", "question"): "Where?",
            ("entities", 0, "facts", "length_km"): 9,
            ("entities", 1, "facts", "length_km"): 8,
        }
    )
    with pytest.raises(ManyErrors) as caught:
        load_facts(file)
    assert len(str(caught.value).splitlines()) == 3


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LrrayError, match="no such file"):
        load_facts(tmp_path / "none.yaml")


def test_an_unknown_dataset_is_answered_with_the_closest_one():
    with pytest.raises(LrrayError, match="did you mean 'parks'"):
        choose_facts(["park"])


def test_a_users_file_may_not_take_the_name_of_a_chosen_dataset(rivers):
    file = rivers({("dataset",): "parks"})
    with pytest.raises(LrrayError, match="two facts files have this dataset name"):
        choose_facts(["parks"], [Path(file)])
    assert [facts.dataset for facts in choose_facts([], [file])] == ["parks"]


def test_all_means_every_shipped_dataset():
    assert [facts.dataset for facts in choose_facts(["all"])] == shipped_datasets()
