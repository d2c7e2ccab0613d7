"""A drawing in SVG, element by element. Colours and fonts are the page's: elements name classes."""

from html import escape


def _attribute(value: float | str) -> str:
    if isinstance(value, str):
        return escape(value)
    return f"{value:.1f}".rstrip("0").rstrip(".")


_SIZES = {"tick": (12.5, 0.58), "name": (14, 0.66), "ratio": (20, 0.6)}
"""The report's sizes of text in pixels, by class, and the width of a character in heights, at most."""


def room(text: str, class_: str = "tick") -> float:
    """Pixels that a line of text takes at most."""
    size, width = _SIZES[class_]
    return len(text) * size * width


class Drawing:
    """Width and height are in pixels; where there is less room it shrinks. description: for screen readers."""

    def __init__(self, width: float, height: float, description: str) -> None:
        self._size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
        self._description = escape(description)
        self._elements: list[str] = []

    def add(self, tag: str, text: str = "", *, title: str = "", **attributes: float | str) -> None:
        """Adds an element. title: shown when pointed at. class_ and stroke_width are written class and stroke-width."""
        written = "".join(
            f' {name.rstrip("_").replace("_", "-")}="{_attribute(value)}"' for name, value in attributes.items()
        )
        inside = (f"<title>{escape(title)}</title>" if title else "") + escape(text)
        self._elements.append(f"<{tag}{written}>{inside}</{tag}>")

    def line(self, x1: float, y1: float, x2: float, y2: float, class_: str) -> None:
        """A straight line."""
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)

    def text(self, x: float, y: float, text: str, class_: str = "", anchor: str = "start") -> None:
        """A line of text; y is its base line. anchor: start, middle or end."""
        self.add("text", text, x=x, y=y, class_=class_, text_anchor=anchor)

    def path(self, points: list[tuple[float, float]], class_: str, *, close: bool = False) -> None:
        """A line from point to point. close: back to the first, to be filled."""
        steps = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(points))
        self.add("path", d=steps + ("Z" if close else ""), class_=class_)

    def dot(self, x: float, y: float, radius: float, class_: str, title: str = "") -> None:
        """A dot."""
        self.add("circle", title=title, cx=x, cy=y, r=radius, class_=class_)

    def bar(self, x: float, y: float, width: float, height: float, class_: str, title: str = "") -> None:
        """A rectangle; y is its upper edge."""
        self.add("rect", title=title, x=x, y=y, width=width, height=height, class_=class_)

    def __str__(self) -> str:
        return f'<svg {self._size} role="img" aria-label="{self._description}">{"".join(self._elements)}</svg>'
