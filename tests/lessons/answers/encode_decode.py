def make_alphabet(text):
    return sorted(set(text))


def encode(text, alphabet):
    ids = {character: id for id, character in enumerate(alphabet)}
    return [ids[character] for character in text]


def decode(ids, alphabet):
    return "".join(alphabet[id] for id in ids)


WRONG = [
    ("off by one", "enumerate(alphabet)", "enumerate(alphabet, 1)"),
    ("not sorted", "sorted(set(text))", "list(dict.fromkeys(text))"),
    ("not sorted", "sorted(set(text))", "sorted(set(text), reverse=True)"),
    ("unknown 'z' must be an error", "for character in text]", "for character in text if character in ids]"),
    ("unknown 'z' must be an error", "ids[character] for", "ids.get(character, 0) for"),
    ("unknown '\\r' must be an error", "for character in text]", "for character in text if character != chr(13)]"),
    (
        "unknown 'A' must be an error",
        "ids[character] for",
        "ids[character if character in ids else character.lower()] for",
    ),
    ("Unicode numbers", "ids[character] for", "ord(character) for"),
    ("the alphabet of 'hello world' is a set", "sorted(set(text))", "set(text)"),
    ("the alphabet of 'hello world' is a str", "sorted(set(text))", '"".join(sorted(set(text)))'),
    ("a text is expected", '"".join(alphabet[id] for id in ids)', "[alphabet[id] for id in ids]"),
    ("element [1] of decode of", '"".join', '" ".join'),
]
ALSO_RIGHT = [
    ("ids[character]", "alphabet.index(character)"),
]
