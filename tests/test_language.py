import pytest

from visir.language import guess_language, named_language, own_words, stop_words


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The water works of the town are old, and the pipes leak into the ground.", "en"),
        ("Die Hausordnung gilt für alle Mieter, und das Treppenhaus ist sauber zu halten.", "de"),
        ("Le menu est servi dans la salle, et les vins sont sur la carte.", "fr"),
        ("El agua de la fuente es fría, y los pájaros beben en ella por la mañana.", "es"),
        ("日本語のページです。", "ja"),
        ("Вода течёт по трубам в город", "ru"),
        ("x = 3; y = 7", ""),
        ("", ""),
    ],
)
def test_languages(text, code):
    assert guess_language(text) == code


def test_stop_words_are_those_of_the_querys_language():
    assert "die" not in stop_words("words that never die")
    assert "die" in stop_words("wie hoch ist der Verlust und die Menge")


@pytest.mark.parametrize(
    ("word", "code"),
    [("French", "fr"), ("Deutsch", "de"), ("português", "pt"), ("portugues", "pt"), ("Suomi", "fi"), ("table", ""), ("", "")],
)
def test_names_of_languages(word, code):
    assert named_language(word) == code


@pytest.mark.parametrize("code", ["en", "de", "fr", "es", "pt", "nb", "cs", "tr", "id"])
def test_a_languages_own_words_tell_it(code):
    assert len(own_words(code)) == 8
    assert code == "nb" or guess_language(" ".join(own_words(code))) == code
