"""The page of a seal's report: all of it is there, and nothing of a guest's text is taken for HTML."""

from __future__ import annotations

import html.parser
import json

import pytest

from factory.seal.free_space import FreeSpace
from factory.seal.model import Family, GuestInfo
from factory.seal.page import render_page
from factory.seal.report import Finding, SealReport
from factory.seal.sanitise import Broken, Done
from factory.seal.trim import Trimmed

pytestmark = pytest.mark.unit

CLEAN = SealReport(
    GuestInfo(Family.DEBIAN, "debian", "12", "Debian 12 <img src=x>"),
    operations=(Done("logs", "empties logs", 7, 0.1), Done("utmp", "empties utmp", 0, 0.1)),
    trimmed=(Trimmed("/dev/sda1", "fstrim"),),
    free_space=(FreeSpace("main", 1, "ext", 2**30, 0),),
    findings=(Finding("private-key", "main", 4096, "/etc/ssl/demo.pem", "-----…", True, "allowed by the template"),),
    notes=("a note",),
    seconds={"scan": 1.5},
)
DIRTY = SealReport(
    GuestInfo(),
    broken=(Broken("logs", "/var/log/<script>alert(1)</script> is not empty"),),
    free_space=(FreeSpace("main", 1, "ext", 2**30, 4096),),
    findings=(Finding("secret:token", "main", 8192, "free space", ""),),
)


class Text(html.parser.HTMLParser):
    """The words of a page, and the tags that it opens."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words, self.tags, self.open = "", set[str](), list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def page(report: SealReport) -> Text:
    text = Text(render_page(json.loads(json.dumps(report.to_json())), "image"))
    assert text.open == [], "a tag is not closed"
    return text


def test_a_clean_image_is_said_to_be_proven() -> None:
    words = page(CLEAN).words
    assert "Proven clean" in words
    assert "1 of 2 had something to do" in words
    for expected in ("Debian 12 <img src=x>", "logs", "1 GiB", "0 B", "/etc/ssl/demo.pem", "allowed by the template"):
        assert expected in words, expected


def test_every_problem_of_a_dirty_one_is_named() -> None:
    words = page(DIRTY).words
    assert "Not clean: 3 problems" in words
    for problem in DIRTY.problems:
        assert problem in words


def test_nothing_of_the_guest_becomes_html() -> None:
    assert not {"script", "img"} & (page(CLEAN).tags | page(DIRTY).tags)


def test_a_search_that_was_left_out_is_no_clean_one() -> None:
    words = page(SealReport(GuestInfo(), searched=False)).words
    assert "Nobody has looked" in words
