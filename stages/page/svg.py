"""Just enough SVG for small plots: elements as strings, everything escaped, colours left to the page's style sheet."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr


def element(name: str, inner: str = "", **attributes: object) -> str:
    """An element; `inner` is markup already. Underscores in attribute names become hyphens, `class_` is `class`."""
    pairs = "".join(f" {_name(k)}={quoteattr(_value(v))}" for k, v in attributes.items() if v is not None)
    return f"<{name}{pairs}>{inner}</{name}>" if inner else f"<{name}{pairs}/>"


def text(content: object, x: float, y: float, **attributes: object) -> str:
    """Text with its baseline at y."""
    return element("text", escape(str(content)), x=x, y=y, **attributes)


def rect(x: float, y: float, width: float, height: float, hint: str = "", **attributes: object) -> str:
    """A rectangle; `hint` is shown by a resting pointer."""
    inner = element("title", escape(hint)) if hint else ""
    return element("rect", inner, x=x, y=y, width=max(width, 0), height=max(height, 0), **attributes)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def plot(width: float, height: float, parts: Iterable[str], label: str) -> str:
    """A whole plot; `label` says in words what it shows, to those who cannot see it."""
    return element(
        "svg", "".join(parts), viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=label, class_="plot"
    )


def ticks(most: float, wanted: int = 4) -> list[float]:
    """Round numbers from 0 up to `most`, about `wanted` of them."""
    if most <= 0:
        return [0.0]
    rough = most / wanted
    power = 10.0 ** len(str(int(rough))) / 10 if rough >= 1 else 0.1
    step = next((power * m for m in (1, 2, 5, 10) if power * m >= rough), power * 10)
    return [step * i for i in range(int(most / step + 1e-9) + 1)]


def _name(name: str) -> str:
    return name if name == "viewBox" else name.rstrip("_").replace("_", "-")


def _value(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
