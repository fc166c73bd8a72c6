"""Anybody's text as it is shown to people: on one line, without what steers a terminal."""

MAX_SHOWN = 600  # characters of a message; the longest list of what is allowed has some 300


def one_line(text: str, most: int = MAX_SHOWN) -> str:
    """`text` with escapes for what cannot be printed, and without its middle where it is long."""
    if len(text) > 2 * most:  # what lies between is not shown, and may be megabytes
        text = text[:most] + text[-most:]
    text = printable(text)
    if len(text) <= most:
        return text
    return f"{text[: most // 3]} … {text[-(most - most // 3) :]}"


def encodable(text: str) -> str:
    """`text` with escapes for what no file of text holds: what stands for bytes that are none."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def printable(text: str) -> str:
    """`text` with escapes for what cannot be printed: line ends, what steers a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
