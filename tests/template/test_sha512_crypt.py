"""The test vectors of the specification (Drepper, "Unix crypt using SHA-256 and SHA-512")."""

from __future__ import annotations

import pytest

from factory.template.sha512_crypt import sha512_crypt

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("password", "salt", "rounds", "expected"),
    [
        ("Hello world!", "saltstring", 5000,
         "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoE"
         "OfaS35inz1"),
        ("Hello world!", "saltstringsaltstring", 10000,
         "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/"
         "y3RnOaw5v."),
        ("This is just a test", "toolongsaltstring", 5000,
         "$6$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0"),
        ("a very much longer text to encrypt.  This one even stretches over morethan one line.",
         "anotherlongsaltstring", 1400,
         "$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9"
         "t0oSwbtEW7o7UmJEiDwGqd8p4ur1"),
        ("the minimum number is still observed", "roundstoolow", 10,
         "$6$rounds=1000$roundstoolow$kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHH"
         "rsX."),
    ],
)  # fmt: skip
def test_vectors(password: str, salt: str, rounds: int, expected: str) -> None:
    assert sha512_crypt(password, salt, rounds) == expected


def test_without_a_salt_the_same_password_gives_the_same_hash() -> None:
    first, second, other = (sha512_crypt(p) for p in ("hunter2", "hunter2", "hunter3"))
    assert first == second
    assert first.split("$")[2] != other.split("$")[2]
    assert sha512_crypt("hunter2", first.split("$")[2]) == first


def test_what_can_not_be_hashed() -> None:
    with pytest.raises(ValueError, match="more than 1024 bytes"):
        sha512_crypt("x" * 1025)
    for salt in ("a$b", "a:b", "a\n", "ä"):
        with pytest.raises(ValueError, match="a salt is made of ASCII"):
            sha512_crypt("x", salt)
