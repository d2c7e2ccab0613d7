"""HTML in which everything is escaped that is not markup of ours."""

import re
from html import escape
from typing import TypeAlias


class Html(str):
    """Markup: it is not escaped again."""

    __slots__ = ()


Content: TypeAlias = "Html | str | float | None"


def text(content: Content) -> Html:
    """Escapes what is not Html; None becomes an empty text."""
    return content if isinstance(content, Html) else Html("" if content is None else escape(str(content)))


def tag(name: str, *contents: Content, **attributes: str) -> Html:
    """An element. attributes: `class_` is `class`; their values are escaped, too."""
    given = "".join(f' {each.rstrip("_")}="{escape(value)}"' for each, value in attributes.items())
    return Html(f"<{name}{given}>{''.join(map(text, contents))}</{name}>")


def mark(kind: str, words: str, **attributes: str) -> Html:
    """Words with a colour: good, warn, bad."""
    return tag("span", words, class_=f"mark {kind}", **attributes)


def lines(*contents: Content) -> Html:
    """Contents, each on a line of its own."""
    return Html("<br>".join(map(text, contents)))


def sentence(words: str) -> Html:
    """A sentence for a cell that may be broken; what stands in backquotes is code."""
    parts = words.split("`")
    return tag("span", *(tag("code", part) if place % 2 else part for place, part in enumerate(parts)), class_="words")


def table(head: tuple[str, ...], rows: list[tuple[Content, ...]], empty: str = "nothing") -> Html:
    """A table that scrolls where it is too wide; without rows a sentence. Numbers stand to the right."""
    if not rows:
        return tag("p", empty, class_="quiet")
    heads = tag("tr", *(_cell("th", each, rows[0][place]) for place, each in enumerate(head)))
    body = "".join(tag("tr", *(_cell("td", each, each) for each in row)) for row in rows)
    return tag("div", tag("table", tag("thead", heads), tag("tbody", Html(body))), class_="scroll")


def _cell(name: str, content: Content, sample: Content) -> Html:
    is_number = not isinstance(sample, Html) and _NUMBER.fullmatch(str(sample))
    return tag(name, content, class_="number") if is_number else tag(name, content)


_NUMBER = re.compile(r"[\d\u2009.]+( (ms|%|[KMG]B|bytes))?|–")
