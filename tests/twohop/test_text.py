"""What counts as the same word or number."""

import pytest

from lrray.twohop.text import folded, stands_in, tokens

SAME = [
    ("Malmö", "malmo"),
    ("Ørsted", "orsted"),
    ("Château de Chambord", "chateau de chambord"),
    ("8,611", "8611"),
    ("8'611", "8611"),
    ("8\u202f611", "8611"),
    ("1,234,567", "1234567"),
    ("8,848.86m", "8848.86"),
    ("8611.0", "8611"),
    ("Saint-Petersburg", "saint petersburg"),
    ("St. Paul’s", "St Paul"),
    ("8th", "8"),
    ("2737m", "2737"),
    ("U.S.", "US"),
    ("Washington, D.C.", "Washington DC"),
    ("It’s", "it's"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_that_count_as_equal(one, other):
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("1", "11"),
        ("1", "1.5"),
        ("2", "H2O and CO2"),
        ("1890", "the 1890s"),
        ("861", "8,611"),
        ("611", "8,611"),
        ("US", "let us see"),
        ("R", "r"),
        ("C", "C++"),
        ("C", "C#"),
        ("Java", "JavaScript"),
        ("m", "I'm"),
        ("m", "I’m"),
        ("m", "at 9 p.m."),
        ("t", "don't"),
        ("He", "He's"),
        ("U", "the U.S. alone"),
        ("S", "U.S."),
        ("", "anything"),
        ("Sao Paulo", "Paulo Sao"),
    ],
)
def test_words_that_do_not_stand_in_a_text(words, text):
    assert not stands_in(words, text)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("1", "It is 1."),
        ("8611", "**8,611 metres**"),
        ("8611", "(8611m)"),
        ("US", "in the US."),
        ("U.S.", "in the U.S."),
        ("C++", "She wrote C++, then C."),
        ("Davy", "Davy's discovery"),
        ("Elhuyar", "d'Elhuyar"),
        ("U", "the symbol is U."),
        ("m", "main.m"),
        ("São Paulo", "SAO PAULO!"),
        ("1953", "1953–54"),
    ],
)
def test_words_that_stand_in_a_text(words, text):
    assert stands_in(words, text)


def test_two_numbers_with_a_comma_and_a_space_stay_two():
    assert tokens("10, 200") == ("10", "200")
