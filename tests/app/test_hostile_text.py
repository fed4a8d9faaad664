"""What would run in a careless page is text in ours, wherever it stands; tests/browser shows the same in a browser."""

from html.parser import HTMLParser

import pytest

from inkwright.app.page.html import element, page
from tests.lossless.hostile import SCRIPTS


class Parts(HTMLParser):
    """The elements of a page, their attributes and its text, as a browser reads them."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.values: list[str | None] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("text", SCRIPTS)
def test_a_text_is_a_text_in_an_element_an_attribute_and_a_title(text: str) -> None:
    found = Parts(element("p", text, title=text))
    assert (found.tags, "".join(found.texts), found.values) == (["p"], text, [text])
    whole, empty = Parts(page(text, [element("p", text)])), Parts(page("", [element("p")]))
    assert whole.tags == empty.tags and whole.texts.count(text) == 2
