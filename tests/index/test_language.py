import pytest

from visir.index.language import guess_language, stop_words


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
