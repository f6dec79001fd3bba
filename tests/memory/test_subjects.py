"""Rules that tell what cannot be true at a time."""

import pytest

from portal.memory.subjects import content_words, contradicts, same

CONTRADICT = [
    ("I live in Berlin", "I live in Paris"),
    ("I live in Berlin", "I've moved to Paris"),
    ("Ich wohne in Berlin", "Ich bin nach Paris gezogen"),
    ("Ich wohne in Berlin", "I live in Rome"),
    ("J'habite à Paris", "J'habite à Lyon"),
    ("Vivo en Madrid", "Me mudé a Sevilla"),
    ("My name is Ann", "I am called Anna"),
    ("My name is Ann", "Ich heiße Eva"),
    ("Me llamo Ana", "Je m'appelle Anne"),
    ("I work at Acme", "I work for Umbrella"),
    ("Ich arbeite bei Acme", "Ich arbeite jetzt bei Umbrella"),
    ("I work as a nurse", "I work as a doctor"),
    ("I am 30 years old", "I'm 31"),
    ("J'ai 30 ans", "J'ai 31 ans"),
    ("My favourite colour is blue", "my favourite colour is red"),
    ("Meine Lieblingsfarbe ist blau", "Meine Lieblingsfarbe ist rot"),
    ("The door code is 4821", "The door code is 1234"),
    ("Our meeting room is 12", "Our meeting room is 14"),
    ("My bicycle is green", "My bicycle is red and white"),
    ("Unser Haus ist weiß", "Unser Haus ist jetzt hellgrau"),
    ("My piano lesson is on Monday", "My piano lesson is on Tuesdays now"),
    ("Ma porte est bleue", "Ma porte est verte"),
    ("My dog is called Rex", "My dog is called Bello"),
    ("I prefer tea over coffee", "I prefer coffee over tea"),
    ("I prefer dark mode", "I prefer light mode"),
    ("Ich trinke lieber Tee als Kaffee", "Ich trinke lieber Kaffee als Tee"),
    ("I like cheese", "I don't like cheese"),
    ("I like cheese", "I hate cheese"),
    ("I am vegetarian", "I am not vegetarian any more"),
    ("I eat meat", "I don't eat meat"),
    ("Ich mag Käse", "Ich mag keinen Käse"),
    ("J'aime le fromage", "Je n'aime pas le fromage"),
    ("Me gusta el queso", "No me gusta el queso"),
    ("I have 2 children", "I have 3 children"),
]
AGREE = [
    ("I live in Berlin", "I now live in berlin"),
    ("I moved to Rome", "I live in Rome"),
    ("My brother is tall", "My brother is a doctor"),
    ("My car is red", "My car is a Volvo"),
    ("My bicycle is green", "My bicycle is old"),
    ("My bicycle is green", "My door is red"),
    ("My lesson is on Monday", "My lesson is at 5"),
    ("My dog is called Rex", "My cat is called Bello"),
    ("I hate cheese", "I don't like cheese"),
    ("I prefer tea", "I prefer trains"),
    ("I prefer tea", "I prefer tea"),
    ("The meeting is on Monday", "The report is due on Friday"),
    ("I went to Rome in 2019", "I went to Rome in 2021"),
    ("My sister lives in Paris", "I live in Berlin"),
    ("", ""),
    ("🎉", "🎂"),
    ("I", "not"),
    ("x " * 500, "y " * 500),
]


@pytest.mark.parametrize(("one", "other"), CONTRADICT)
def test_contradictions(one: str, other: str) -> None:
    assert contradicts(one, other)
    assert contradicts(other, one)
    assert not same(one, other)


@pytest.mark.parametrize(("one", "other"), AGREE)
def test_what_can_both_be_true(one: str, other: str) -> None:
    assert not contradicts(one, other)
    assert not contradicts(other, one)


def test_the_same_said_otherwise() -> None:
    assert same("I live in Berlin", "Ich wohne in Berlin")
    assert same("I moved to Rome", "I currently live in Rome.")
    assert not same("Hello", "Hello")


def test_content_words() -> None:
    assert content_words("What is the name of my dog?") == {"what", "name", "dog"}
    assert content_words("") == frozenset()
