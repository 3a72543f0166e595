"""The way along a path, where links lead elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from factory.disk.path_walk import MOST_LINKS, walk

pytestmark = pytest.mark.unit


def walked(path: str, links: Mapping[str, str]) -> tuple[str, list[str]]:
    """Where *path* leads, and the names that were asked for."""
    way, asked = walk(path), []
    try:
        name = next(way)
        while True:
            asked.append(name.path)
            name = way.send(links.get(name.path))
    except StopIteration as arrived:
        return arrived.value, asked


@pytest.mark.parametrize(
    ("path", "links", "real"),
    [
        ("/etc/passwd", {}, "/etc/passwd"),
        ("/", {}, "/"),
        ("//etc/./passwd/", {}, "/etc/passwd"),
        ("/home/bob", {"/home": "var/home"}, "/var/home/bob"),
        ("/a/b/c", {"/a": "/x", "/x/b": "../y"}, "/y/c"),
        ("/a", {"/a": "b", "/b": "/c"}, "/c"),
        ("/../../etc", {}, "/etc"),
        ("/a/b", {"/a": "../../../up"}, "/up/b"),
        ("/a/../b", {"/a": "/x/y"}, "/x/b"),
    ],
)
def test_links_are_followed_within_the_guest(path: str, links: dict[str, str], real: str) -> None:
    assert walked(path, links)[0] == real


def test_every_name_is_asked_for_once_where_it_really_is() -> None:
    assert walked("/home/bob/file", {"/home": "/var/home"})[1] == [
        "/home",
        "/var",
        "/var/home",
        "/var/home/bob",
        "/var/home/bob/file",
    ]


def test_only_the_last_name_is_told_as_such() -> None:
    way = walk("/a/b")
    assert not next(way).last
    assert way.send(None).last


def test_a_circle_ends() -> None:
    real, asked = walked("/a/file", {"/a": "b", "/b": "a"})
    assert len(asked) == MOST_LINKS
    assert real in {"/a/file", "/b/file"}
