"""What is said to the user is one line without passwords."""

import pytest

from modescope.errors import UserError, masked, say


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:secret@host:5000/api", "http://user:***@host:5000/api"),
        ("postgresql+psycopg2://me:p@ss:w'ord@db/x is down", "postgresql+psycopg2://me:***@db/x is down"),
        ("a https://u:1234@a.b, then (ftp://v:s%40e@c)", "a https://u:***@a.b, then (ftp://v:***@c)"),
        ("redis://:secret@host", "redis://:***@host"),
        ("mysql://h/db?user=me&password=secret&x=1", "mysql://h/db?user=me&password=***&x=1"),
        ("https://h/a?X-Amz-Signature=0ab&sig=1;TOKEN=2", "https://h/a?X-Amz-Signature=***&sig=***;TOKEN=***"),
        ("https://h/a?access_token=abc", "https://h/a?access_token=***"),
    ],
)
def test_passwords_of_urls_are_masked(text, shown):
    assert masked(text) == str(UserError(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://host:5000/a@b",
        "see http://host:80 or me@host",
        "ssh://git@host/x",
        "sqlite:////a/b:c@d.db",
        "seed=3 a: b@c",
    ],
)
def test_what_is_no_password_is_left_as_it_is(text):
    assert masked(text) == text


def test_what_is_said_is_one_masked_line_on_stderr(capsys):
    say("cannot reach\n  http://user:secret@host ")
    assert capsys.readouterr() == ("", "modescope: cannot reach http://user:***@host\n")
