"""Words that any database and any terminal takes."""


def printable(text: str) -> str:
    """A text that any database and terminal takes: what cannot be printed becomes a question mark."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)
