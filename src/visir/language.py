"""Which language a page is in: by its script, else by the small words that each language cannot do without."""

import re
import unicodedata
from collections import Counter

_SMALL_WORDS = {
    "en": "the of and to in is for that with are this be on as by it or from an you can not which "
    "how what where when who why do does did i my we was were has have will would should there "
    "at its into about if but they their",
    "de": "der die und das ist nicht mit den ein eine auf für von dem werden sich auch es wird im zu wie was wo wann wer warum ich",
    "fr": "le la les des et est une pour que dans vous pas sur avec qui par ce du au sont être ou comment quand où je",
    "es": "el la los las de que y en un una es para con por se del no su como al más lo",
    "it": "il la di che e è un una per con non sono del della dei si le gli nel alla da come",
    "pt": "o a os as de que e do da em um uma para com não por se na no mais dos ao é",
    "nl": "de het een van en is dat niet op te zijn met voor die in aan wordt ook u of bij",
    "sv": "och att det som en är på för av med den till inte om ett har de kan du så vid",
    "da": "og at det er en til på som for af med den ikke de et har kan der du om ved",
    "nb": "og det er som på for av med den til ikke et har de kan du om ved eller fra en",
    "fi": "ja on ei se että tai kun ole voi mutta niin joka sen tämä myös ovat kuin",
    "pl": "i w na z do się nie jest to że o jak przez dla po od są lub oraz być",
    "cs": "a v na se je že to s z do jako pro není o nebo by jsou aby při také",
    "hu": "a az és hogy nem egy is van ez meg csak vagy de kell lehet mint el ha",
    "ro": "și de la în cu pe nu este un o care să din pentru mai sau fi prin ca",
    "tr": "ve bir bu için ile da de olarak daha gibi en çok olan veya ne değil",
    "vi": "và của là có cho không được trong các một những này với để khi người",
    "id": "dan yang di untuk dengan ini dari pada tidak adalah dalam akan atau itu ke dapat",
}
_STOP_WORDS = {code: frozenset(words.split()) for code, words in _SMALL_WORDS.items()}
_BY_WORD: dict[str, list[str]] = {}
for _code, _words in _SMALL_WORDS.items():
    for _word in _words.split():
        _BY_WORD.setdefault(_word, []).append(_code)

# In English and in the language itself, without accents.
_NAMES = {
    "en": "english",
    "de": "german deutsch",
    "fr": "french francais",
    "es": "spanish espanol castellano",
    "it": "italian italiano",
    "pt": "portuguese portugues",
    "nl": "dutch nederlands",
    "sv": "swedish svenska",
    "da": "danish dansk",
    "nb": "norwegian norsk bokmal",
    "fi": "finnish suomi suomeksi",
    "pl": "polish polski polsku",
    "cs": "czech cestina cesky",
    "hu": "hungarian magyar magyarul",
    "ro": "romanian romana romaneste",
    "tr": "turkish turkce",
    "vi": "vietnamese",
    "id": "indonesian",
}
_NAMED = {name: code for code, names in _NAMES.items() for name in names.split()}
# So many of a language's own small words are looked for.
_OWN = 8

_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("hi", re.compile("[\u0900-\u097f]")),
)
_SAMPLE = 3000


def without_accents(text: str) -> str:
    """Return a text with its letters parted from their accents, and these left out."""
    if text.isascii():
        return text
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if unicodedata.category(letter) != "Mn")


def named_language(word: str) -> str:
    """Return the ISO 639-1 code of the language that a word names, in English or in that language; empty where it names none."""
    return _NAMED.get(without_accents(word.casefold()), "")


def own_words(code: str) -> tuple[str, ...]:
    """Return small words of a language that a page in it most likely has and that hardly another language has, the commonest first."""
    words = sorted((word for word in _SMALL_WORDS[code].split() if len(word) > 1), key=lambda word: len(_BY_WORD[word]) > 1)
    return tuple(words[:_OWN])


def stop_words(text: str) -> frozenset[str]:
    """Return the words that say nothing by themselves in the language of a query; English where too little speaks for any."""
    return _STOP_WORDS.get(guess_language(text) or "en", frozenset())


def guess_language(text: str) -> str:
    """Return the ISO 639-1 code of a text's language, or an empty string where too little speaks for any.

    A script names the commonest language written in it: Cyrillic is taken for Russian.
    """
    sample = text[:_SAMPLE].lower()
    letters = sum(map(str.isalpha, sample))
    for code, script in _SCRIPTS:
        # A page that names a few kana or Greek letters is not in that language.
        if letters and len(script.findall(sample)) > 0.15 * letters:
            return code
    votes: Counter[str] = Counter()
    words = re.findall(r"[^\W\d_]+", sample)
    for word in words:
        for code in _BY_WORD.get(word, ()):
            # A word that several languages share says less.
            votes[code] += 1 / len(_BY_WORD[word])  # type: ignore[assignment]
    if not votes:
        return ""
    code, weight = votes.most_common(1)[0]
    return code if weight >= 2 and weight >= 0.04 * len(words) else ""
