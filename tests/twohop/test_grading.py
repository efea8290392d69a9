"""Hard cases of grading, one row each: what the text says, and which grades it deserves."""

import pytest

from lrray.twohop.grading import Expected, grade, is_right


def expect(answer, *aliases, e2=(), symbol=False, rivals=()):
    return Expected(answer, (answer, *aliases), tuple(e2), (*e2, *rivals), symbol)


OXFORD = expect("Oxford", e2=["University of Oxford", "Oxford University"])
HYDROGEN = expect("H", e2=["Hydrogen"], symbol=True)
HELIUM = expect("He", e2=["Helium"], symbol=True)
URANIUM = expect("U", e2=["Uranium"], symbol=True)
IODINE = expect("I", e2=["Iodine"], symbol=True)
MATLAB = expect("m", e2=["MATLAB"])
ONE = expect("1", e2=["Hydrogen"])
HEIGHT = expect("8611", e2=["K2", "Mount Godwin-Austen"])
USA = expect("United States", "USA", "US", "U.S.", e2=["SS United States"])
MALMO = expect("Malmö", e2=["Øresund Bridge"])
SECOND = expect("second", "2nd", "2", e2=["PlayStation 2"])
ORIGINAL = Expected("PlayStation", ("PlayStation",), (), ("PlayStation 2",))

STRICT = [
    # The answer is part of e2's own name.
    (OXFORD, "Oxford", True),
    (OXFORD, "The University of Oxford", False),
    (OXFORD, "oxford university.", False),
    (OXFORD, "University of Oxford, which is in Oxford.", True),
    (OXFORD, "University of Oxfordshire", False),
    # Symbols of one or two letters.
    (HYDROGEN, "H", True),
    (HYDROGEN, "**H**.", True),
    (HYDROGEN, "Hydrogen", False),
    (HYDROGEN, "The symbol of hydrogen is 'H'.", True),
    (HYDROGEN, "h", False),
    (HYDROGEN, "He", False),
    (HYDROGEN, "H2O", False),
    (HYDROGEN, "H₂O", False),
    (HELIUM, "He", True),
    (HELIUM, "He works on helium.", False),
    (HELIUM, "He works on helium, whose symbol is He.", True),
    (HELIUM, '"He" is the symbol', True),
    (HELIUM, "The symbol for helium is He and its number is 2.", True),
    (HELIUM, "He's a chemist who studies oxygen, so O.", False),
    (HELIUM, "Think. He works on oxygen.", False),
    (HELIUM, "Step 1: He works on oxygen.", False),
    (HELIUM, "1. He works on oxygen.", False),
    (URANIUM, "He is from the U.S. and studies iron, Fe.", False),
    (URANIUM, "The symbol is U.", True),
    (IODINE, "This is what I know.", False),
    (IODINE, "The symbol of iodine is I.", True),
    (MATLAB, "I'm not sure, maybe py.", False),
    (MATLAB, "m", True),
    (MATLAB, ".m", True),
    (HELIUM, "Helium, then HE", False),
    # Numbers.
    (ONE, "11", False),
    (ONE, "1", True),
    (ONE, "It is 1.", True),
    (ONE, "1.008", False),
    (ONE, "2021", False),
    (HEIGHT, "8,611", True),
    (HEIGHT, "8611 m", True),
    (HEIGHT, "8,611m above the sea", True),
    (HEIGHT, "8'611 metres", True),
    (HEIGHT, "18,611", False),
    (HEIGHT, "86110", False),
    (HEIGHT, "8,611.5", False),
    # Aliases, case, accents, punctuation.
    (USA, "USA", True),
    (USA, "usa", True),
    (USA, "the united states of America!", True),
    (USA, "U.S.", True),
    (USA, "Let us think.", False),
    (USA, "SS United States", False),
    (USA, "South America", False),
    (MALMO, "malmo", True),
    (MALMO, "MALMÖ, Sweden", True),
    (MALMO, "Malmöhus", False),
    (SECOND, "It is the 2nd.", True),
    (SECOND, "PlayStation 2", False),
    (SECOND, "The PlayStation 2 was number 2", True),
    # A longer name of another answer.
    (ORIGINAL, "PlayStation", True),
    (ORIGINAL, "PlayStation 2", False),
    (ORIGINAL, "PlayStation 2, no, PlayStation", True),
    # Nothing.
    (OXFORD, "", False),
    (OXFORD, "I do not know.", False),
]


@pytest.mark.parametrize(("expected", "text", "right"), STRICT)
def test_strict_grading(expected, text, right):
    assert grade(text, expected).strict is right
    assert is_right(text, expected) is right


GENERATION = expect("second", "2nd", "2", e2=["Atari 2600"])
EIGHT = expect("8", "eighth", e2=["Oxygen"])
FIRST_CENTURY = expect("1", "first", e2=["Lugdunum"])

ENUMERATED = [
    (GENERATION, "Step 1: Find it.\nStep 2: Recall.\nStep 3: I don't know.", False),
    (GENERATION, "**Step 2:** I don't know.", False),
    (GENERATION, "The second step is to recall it.", False),
    (GENERATION, "1. First, find it.\n2. Second, recall.\n3. Third, combine them.", False),
    (GENERATION, "Think.\n  2) recall it", False),
    (GENERATION, "Think.\n**2.** recall it", False),
    (GENERATION, "First, find it. Second, recall: the third generation.", False),
    (FIRST_CENTURY, "1. Find the city.", False),
    (FIRST_CENTURY, "First, find the city.", False),
    # Answers that look like parts of an enumeration.
    (GENERATION, "Second", True),
    (GENERATION, "Second, for it is of 1977.", True),
    (GENERATION, "First, find it. It is of the second generation.", True),
    (GENERATION, "Step 1: it is of generation 2.", True),
    (GENERATION, "1. Find it.\n2. It is an Atari 2600.\n3. That is of the 2nd generation.", True),
    (GENERATION, "Answer:\n2", True),
    (GENERATION, "Answer:\n2.", True),
    (EIGHT, "8. That is the number of oxygen.", True),
    (EIGHT, "the eighth century", True),
    (FIRST_CENTURY, "First century BC", True),
    (FIRST_CENTURY, "Founded in the first century BC.", True),
    (FIRST_CENTURY, "1", True),
    (HEIGHT, "Step 2: 8,611 m", True),
]


@pytest.mark.parametrize(("expected", "text", "right"), ENUMERATED)
def test_numbers_of_steps_and_lists_are_no_answers(expected, text, right):
    assert grade(text, expected).strict is right


PLAIN = [
    (OXFORD, "The University of Oxford", True),
    (HYDROGEN, "the", True),
    (ONE, "11", True),
    (HEIGHT, "8,611", False),
    (USA, "USA", False),
    (USA, "UNITED STATES", True),
    (MALMO, "malmo", False),
]


@pytest.mark.parametrize(("expected", "text", "right"), PLAIN)
def test_plain_substring_grading_keeps_its_faults(expected, text, right):
    assert grade(text, expected).plain_substring is right


WAY = [
    # text, e2 named, e2 before the answer, right without naming e2 first
    ("Oxford", False, False, True),
    ("University of Oxford is in Oxford", True, True, False),
    ("Oxford, home of the University of Oxford", True, False, True),
    ("University of Oxford", True, True, False),
    ("Paris", False, False, False),
]


@pytest.mark.parametrize(("text", "named", "first", "latent"), WAY)
def test_the_way_to_the_answer(text, named, first, latent):
    result = grade(text, OXFORD)
    assert (result.entity_named, result.entity_first, result.strict_nocot) == (named, first, latent)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("He collects the PlayStation 4, released in 1994.", False),
        ("It is the PlayStation 4 or the PlayStation.", True),
        ("It is the PlayStation.", True),
    ],
)
def test_a_longer_name_of_something_else_does_not_name_the_entity(text, named):
    console = expect("1994", e2=["PlayStation", "PS1"], rivals=["PlayStation 4"])
    assert grade(text, console).entity_named is named


def test_an_answer_longer_than_the_name_inside_it_counts():
    kitt_peak = expect("Kitt Peak National Observatory", e2=["Kitt Peak"])
    assert is_right("Kitt Peak National Observatory", kitt_peak)


def test_a_pronoun_is_not_the_first_answer():
    assert grade("He works on helium. The symbol is He.", HELIUM).entity_first
