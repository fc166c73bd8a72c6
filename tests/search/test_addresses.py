"""Addresses of servers: what is shown of them, what is refused; no server is asked."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from models.errors import InputError
from search.run_folder import STORAGE, place_of, remember
from search.study_server import StudyServer, masked, parse_address

TORN = [
    "postgresql://u:s3c@ret@h/d", "postgresql://u:s3c@ret/x@h/d", "postgresql://u:s@c/y?ret=1@h/d",
    "postgresql://u:s@c:ret@h/d", "postgresql://h?password=s3cret@x/d", "postgresql://u:s@c#ret@h/d",
    "postgresql://s3c/ret@h/d", "postgresql://u:p@s3c#ret/d", "mysql://u:s3c@ret@h/d",
]  # fmt: skip


@pytest.mark.parametrize("address", TORN)
def test_a_password_that_tears_the_address_is_not_shown(address: str) -> None:
    with pytest.raises(InputError, match="write @ as %40") as raised:
        parse_address(address)
    for part in ("s3c", "ret", "//s", "@c"):
        assert part not in str(raised.value)


@pytest.mark.parametrize("password", ["s3c%40ret", "s3c#ret", "s3c:ret", "s3c?ret", "s%2Fc"])
def test_other_passwords_are_passwords(password: str) -> None:
    url = parse_address(f"postgresql://u:{password}@h/d")
    assert (url.username, url.host, url.database) == ("u", "h", "d")
    assert masked(url) == "postgresql://u@h/d"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql:///d?host=/var/run/postgresql", "postgresql:///d?host=%2Fvar%2Frun%2Fpostgresql"),
        ("postgresql:///d?host=/x&password=s3cret&sslmode=require", "postgresql:///d?host=%2Fx"),
        ("postgresql://u:s3cret@/d?host=a:1&host=b:2", "postgresql://u@/d?host=a%3A1&host=b%3A2"),
        ("postgresql://h/d?user=u&port=5&dbname=e&options=-cx%3Ds3cret",
         "postgresql://h/d?dbname=e&port=5&user=u"),
        ("postgresql:///d?service=s&passfile=/s3cret", "postgresql:///d?service=s"),
    ],
)  # fmt: skip
def test_which_server_it_is_is_shown(address: str, shown: str) -> None:
    assert masked(parse_address(address)) == shown
    assert masked(parse_address(shown)) == shown
    assert "s3cret" not in shown


def test_what_is_shown_is_one_line() -> None:
    shown = masked(make_url("postgresql://u@h\n\x1b[2J/d"))
    assert shown.isprintable()


def test_an_option_that_is_none_is_bad_input() -> None:
    with pytest.raises(InputError, match="PostgreSQL has no option 'ssl_mode'") as raised:
        parse_address("postgresql://u:s3cret@h/d?ssl_mode=s3cret")
    assert "s3cret" not in str(raised.value)


def test_a_folder_is_a_servers_only_once_that_was_held(tmp_path: Path) -> None:
    address = parse_address("postgresql://u@typo/d")
    assert isinstance(place_of(tmp_path, address, "process 7 on here"), StudyServer)
    assert list(tmp_path.iterdir()) == []
    right = place_of(tmp_path, parse_address("postgresql://u@right/d"), "process 7 on here")
    remember(tmp_path, right)
    remember(tmp_path, right)
    assert (tmp_path / STORAGE).read_text() == "postgresql://u@right/d\n"
    with pytest.raises(InputError, match="not in postgresql://u@typo/d; if that is the same"):
        place_of(tmp_path, address, "process 7 on here")


def test_a_folder_of_a_file_is_never_marked(tmp_path: Path) -> None:
    remember(tmp_path, place_of(tmp_path, None, "process 7 on here"))
    assert list(tmp_path.iterdir()) == []


def test_a_marker_from_somebody_else_is_shown_in_one_line(tmp_path: Path) -> None:
    (tmp_path / STORAGE).write_bytes(b"\x1b[2Jevil\n\xff\nerror: all is lost " + b"x" * 5000)
    for address in (None, parse_address("postgresql://u@h/d")):
        with pytest.raises(InputError, match=r"x1b\[2Jevil") as raised:
            place_of(tmp_path, address, None)
        assert str(raised.value).isprintable()
        assert len(str(raised.value)) < 1500
