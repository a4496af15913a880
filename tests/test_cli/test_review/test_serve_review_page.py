"""`weighbridge review serve` and `password`: what they refuse, and what they hand to the server."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.review import serve_review_page
from cli.review.serve_review_page import _is_loopback
from review_page.people import ReviewSettings


@pytest.fixture
def served(monkeypatch):
    """What the server was started with, without serving."""
    found = []

    class Server:
        def __init__(self, config):
            self.config = config

        def run(self, sockets):
            found.append((self.config.app, sockets[0].getsockname()))
            sockets[0].close()

    monkeypatch.setattr(serve_review_page.uvicorn, "Server", Server)
    return found


def test_it_listens_on_this_machine_and_says_where(weighbridge, ledger, served):
    ended = weighbridge("review", "serve", "--port", 0)
    assert (ended.code, ended.err) == (0, "")
    [(_, (host, port))] = served
    assert host == "127.0.0.1"
    assert ended.out == f"Review page: http://127.0.0.1:{port} (Ctrl-C ends it)\n"


def test_for_other_machines_it_wants_a_log_in(weighbridge, ledger, served, monkeypatch):
    ended = weighbridge("review", "serve", "--port", 0, "--host", "0.0.0.0")
    assert ended.code == 2
    assert "starts only with a log-in" in ended.sentence
    assert served == []


def test_a_policy_that_cannot_be_used_is_refused_before_the_page_is_served(weighbridge, ledger, served):
    ended = weighbridge("review", "serve", "--policy", "none.toml")
    assert (ended.code, served) == (2, [])
    assert "There is no policy file none.toml" in ended.sentence


def test_a_port_that_is_taken_is_bad_input(weighbridge, ledger, served):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = weighbridge("review", "serve", "--port", taken.getsockname()[1])
    assert ended.code == 2
    assert "choose another --port or --host" in ended.sentence


@given(st.ip_addresses())
def test_an_address_is_of_this_machine_when_it_is_a_loopback_address(address):
    assert _is_loopback(str(address)) == ipaddress.ip_address(address).is_loopback


def test_names_are_of_this_machine_only_when_they_are_localhost():
    assert [_is_loopback(name) for name in ("localhost", "127.0.0.1", "::1")] == [True] * 3
    assert [_is_loopback(name) for name in ("example.org", "0.0.0.0", "", "127.0.0.1.nip.io")] == [False] * 4


def test_a_password_becomes_a_pair_that_the_page_takes(weighbridge, monkeypatch):
    monkeypatch.setattr(serve_review_page.typer, "prompt", lambda *_, **__: "correct horse battery")
    ended = weighbridge("review", "password", "anna")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("anna:")
    assert "correct horse" not in ended.out
    monkeypatch.setenv("WEIGHBRIDGE_REVIEW_USERS", ended.out.strip())
    assert list(ReviewSettings().hashes) == ["anna"]


def test_a_short_password_makes_nothing(weighbridge, monkeypatch):
    monkeypatch.setattr(serve_review_page.typer, "prompt", lambda *_, **__: "x" * 11)
    ended = weighbridge("review", "password", "anna")
    assert (ended.code, ended.out) == (2, "")
    assert "at least 12 characters" in ended.sentence


@pytest.mark.parametrize("name", ["", "anna b", "a" * 101, "an\na"])
def test_a_name_that_cannot_log_in_is_bad_input(weighbridge, name):
    ended = weighbridge("review", "password", name)
    assert ended.code == 2
    assert "at most 100 printable characters and no blanks" in ended.sentence
