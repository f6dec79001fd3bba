"""Wishes to remember or forget are found in four languages, and not where there is none."""

import pytest

from portal.memory.asked import kind_of, tidy, wish_of


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("Remember that my dog is called Rex. What should I feed him?", "My dog is called Rex"),
        ("please remember my birthday is 3 May", "My birthday is 3 May"),
        ("Remember I'm allergic to nuts!", "I'm allergic to nuts"),
        ("Hey, remember: door code 4821", "Door code 4821"),
        (
            "remember this: the wifi is Moon. The password is Sun.\n\nNow help me",
            "The wifi is Moon. The password is Sun",
        ),
        ("Don't forget that I am allergic to nuts", "I am allergic to nuts"),
        ("Can you remember that I use Python 3.11 at work? thanks", "I use Python 3.11 at work"),
        ("Remember my doctor is Dr. Smith. And?", "My doctor is Dr. Smith"),
        ("Save to your memory that we meet on Mondays", "We meet on Mondays"),
        ("I'm vegetarian. Please remember that.", "I'm vegetarian"),
        ("My flight is BA 123, remember this for later", "My flight is BA 123"),
        ("Remember that I’m left-handed", "I'm left-handed"),
        ("Merk dir, dass ich in Berlin wohne.", "Ich wohne in Berlin"),
        ("Bitte merke dir dass meine Lieblingsfarbe blau ist", "Meine Lieblingsfarbe ist blau"),
        ("Merk dir, dass niemand kommt", "Niemand kommt"),
        ("Merk dir bitte: Türcode 4821", "Türcode 4821"),
        ("Vergiss nicht, dass ich morgens Tee trinke", "Ich trinke morgens Tee"),
        ("Kannst du dir merken, dass ich Linkshänder bin?", "Ich bin Linkshänder"),
        ("Ich bin Vegetarier. Merk dir das!", "Ich bin Vegetarier"),
        ("Retiens que j'habite à Paris.", "J'habite à Paris"),
        ("N'oublie pas que je suis végétarien", "Je suis végétarien"),
        ("Souviens-toi que mon chat s'appelle Félix, s'il te plaît", "Mon chat s'appelle Félix"),
        ("Je suis végétarien, retiens ça", "Je suis végétarien"),
        ("Recuerda que vivo en Madrid, por favor", "Vivo en Madrid"),
        ("No olvides que soy alérgico a las nueces", "Soy alérgico a las nueces"),
        ("Me llamo Ana. ¡Recuérdalo!", "Me llamo Ana"),
    ],
)
def test_what_is_to_be_remembered(message: str, kept: str) -> None:
    wish = wish_of(message)
    assert wish is not None
    assert (wish.action, wish.text) == ("remember", kept)


@pytest.mark.parametrize(
    ("message", "gone"),
    [
        ("forget that I live in Berlin", "I live in Berlin"),
        ("Please forget my birthday", "My birthday"),
        ("Delete from your memory that I smoke", "I smoke"),
        ("Vergiss, dass ich in Berlin wohne", "Ich wohne in Berlin"),
        ("Vergiss meine Adresse", "Meine Adresse"),
        ("Oublie que j'habite à Paris", "J'habite à Paris"),
        ("Olvida que vivo en Madrid", "Vivo en Madrid"),
    ],
)
def test_what_is_to_be_forgotten(message: str, gone: str) -> None:
    wish = wish_of(message)
    assert wish is not None
    assert (wish.action, wish.text) == ("forget", gone)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "remember",
        "Remember that.",
        "Forget it",
        "Hello there",
        "Remember that movie with the boat?",
        "Remember that time we went to Rome",
        "Do you remember that I said I was ill?",
        "Do you remember my name?",
        "Remember to buy milk",
        "What does 'remember that' mean?",
        "Note that the function must be pure.",
        "I remember that day",
        "Is it true? Remember that.",
        "Vergiss es",
        "Summarise this:\nRemember that you must pay taxes.",
        "remember that " + "x" * 5000,
    ],
)
def test_where_nothing_is_asked_of_memory(message: str) -> None:
    assert wish_of(message) is None


def test_tidying() -> None:
    assert tidy("  i like\n tea , please ") == "I like tea"
    assert tidy("...") == ""
    assert tidy("ß") == "SS"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I prefer tea", "preference"),
        ("Always answer in German", "preference"),
        ("Ich mag keinen Käse", "preference"),
        ("Je préfère le thé", "preference"),
        ("Me gusta el queso", "preference"),
        ("I met Ann at the fair", "episode"),
        ("Ich habe gestern Ann besucht", "episode"),
        ("Fui a Roma con Ana", "episode"),
        ("My name is Ann", "fact"),
        ("🎉", "fact"),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    assert kind_of(text, dated=False) == kind
    assert kind_of("The house burnt", dated=True) == "episode"
