"""Tests of the page's server: it answers this machine alone, and changes and believes nothing."""

import contextlib
import http.client
import json
import logging
import re
import shutil
import socket
import sys
from html.parser import HTMLParser
from urllib.parse import quote, urlsplit

import pytest
from page_runs import records_of, shown, told_in

from fedchain.errors import RunRefused
from fedchain.page import server as page_server
from fedchain.page.guard import is_of_this_machine
from fedchain.page.runs import Runs
from fedchain.page.server import PageServer, run_path
from fedchain.results import exported_to

HOSTILE = "</script><img src=x onerror=alert(1)>&\"'"


@pytest.fixture(scope="module")
def server(run_folder):
    made = PageServer(Runs(run_folder.parent))
    yield made
    made.close()


@pytest.fixture(scope="module")
def at(run_folder):
    return run_path(run_folder.name)


def ask(server, path, method="GET", **headers):
    """Return the answer to one request, and its body as text; ``Host`` may be replaced."""
    place = urlsplit(server.address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            for each in value if isinstance(value, tuple) else (value,):
                connection.putheader(name.replace("_", "-"), each)
        connection.endheaders()
        answer = connection.getresponse()
        answer.text = answer.read().decode("latin-1")
        return answer
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/", "{at}", "{at}events", "{at}chain", "{at}body/00"])
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil:80", "127.0.0.1:80:x", ""]
)
def test_a_foreign_host_is_refused(server, at, path, host):
    answer = ask(server, path.format(at=at), Host=host)
    assert answer.status == 403
    assert "fedchain printed" in answer.text


def test_two_hosts_and_none_are_refused(server):
    own = (b"host", b"127.0.0.1")
    assert is_of_this_machine({"headers": [own]})
    assert not is_of_this_machine({"headers": [own, (b"host", b"evil.example")]})
    assert not is_of_this_machine({"headers": []})
    assert ask(server, "/", Host=("127.0.0.1", "127.0.0.1")).status in (400, 403)
    assert ask(server, "/", Host=()).status in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:1234", "[::1]:80"])
def test_this_machine_is_answered(server, host):
    assert ask(server, "/", Host=host).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_reading_is_allowed(server, at, method):
    answer = ask(server, at, method)
    assert answer.status == 405
    assert answer.getheader("Allow") == "GET, HEAD"
    assert ask(server, "/nothing", method).status == 405


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address")
def test_nothing_but_one_address_listens(server):
    port = urlsplit(server.address).port
    with socket.create_connection(("127.0.0.1", port)):
        pass
    for other in ("127.0.0.2", "::1"):
        with pytest.raises(OSError, match=r"."):
            socket.create_connection((other, port), timeout=5)


def test_every_answer_forbids_what_a_page_does_not_need(server, at):
    for path in ("/", at, "/nothing"):
        answer = ask(server, path)
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("Content-Security-Policy") == "frame-ancestors 'none'"
        assert answer.getheader("Access-Control-Allow-Origin") is None
        assert answer.getheader("Server") is None
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', ask(server, at).text)[1]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert re.search(r"script-src ('sha256-[\w+/=]+' ?)+;", policy)


@pytest.mark.parametrize(
    "path",
    [
        "/run/../",
        "/run/%2e%2e/",
        "/run/..%2f..%2fetc%2fpasswd/",
        "/run/%2fetc/events",
        "/run/./chain",
        "/run/nothing/",
        "/run/%00/",
    ],
)
def test_a_path_out_of_the_folder_finds_nothing(server, path):
    assert ask(server, path).status == 404


def test_the_list_names_every_run(server, at, run_folder):
    answer = ask(server, "/")
    assert f'href="{at}"' in answer.text
    assert run_folder.name in answer.text


def test_the_events_are_the_page_records(server, at, run_folder):
    answer = ask(server, f"{at}events")
    assert answer.getheader("Content-Type").startswith("text/event-stream")
    told = told_in(answer.text)
    assert [record for _, record in told] == records_of(run_folder)
    assert max(place for place, _ in told if place) == (run_folder / "events.ndjson").stat().st_size


def test_a_stream_goes_on_where_it_was_lost_with_the_same_result(server, at):
    whole = told_in(ask(server, f"{at}events").text)
    places = sorted({place for place, _ in whole if place is not None})
    for cut in (places[0], places[-1]):
        # Everything up to the last record before the next id, as a reader that lost it has it.
        before = [record for place, record in whole if place is not None and place <= cut]
        rest = told_in(ask(server, f"{at}events", Last_Event_ID=str(cut)).text)
        assert len(rest) < len(whole)
        first = [record for place, record in whole if place is None]
        assert shown([*first, *before, *(record for _, record in rest)]) == shown(
            record for _, record in whole
        )


@pytest.mark.parametrize("given", ["-1", "x", "9" * 40, "²", "1.5"])
def test_an_id_that_is_none_begins_anew(server, at, given):
    whole = ask(server, f"{at}events").text
    assert ask(server, f"{at}events", Last_Event_ID=given.encode("utf-8")).text == whole


def test_the_chain_is_what_export_writes(server, at, run_folder, tmp_path):
    exported_to(run_folder, tmp_path / "chain")
    answer = ask(server, f"{at}chain")
    assert answer.text.encode("latin-1") == (tmp_path / "chain").read_bytes()


def test_a_body_is_found_by_its_whole_hash_alone(server, at, run_folder):
    head = json.loads((run_folder / "manifest.json").read_text())["head"]
    record = json.loads(ask(server, f"{at}body/{head}").text)
    assert (record["is"], record["block"]) == ("body", head)
    assert ask(server, f"{at}body/{head[:8]}").status == 404
    assert ask(server, f"{at}body/{'0' * 64}").status == 404


def test_too_many_streams_are_refused(server, at, monkeypatch, run_folder):
    monkeypatch.setattr(page_server, "MOST_STREAMS", 0)
    other = PageServer(Runs(run_folder.parent))
    try:
        answer = ask(other, f"{at}events")
        assert (answer.status, answer.getheader("Retry-After")) == (503, "5")
        assert ask(other, at).status == 200
    finally:
        other.close()


class Elements(HTMLParser):
    """Collects the start tags, the attributes that could act, and the texts of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.acting, self.texts = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.acting += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def hostile(run_folder, tmp_path_factory):
    """Return the folder of a run whose texts are HTML."""
    name = HOSTILE.replace("/", "\u2044") if sys.platform != "win32" else "&'x"
    folder = tmp_path_factory.mktemp("hostile") / name
    shutil.copytree(run_folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"name": HOSTILE, "description": HOSTILE, "score": HOSTILE, "status": HOSTILE}
    manifest["baselines"] = {HOSTILE: {HOSTILE: 0.5}}
    manifest["scenario"] |= {"name": HOSTILE, "description": HOSTILE}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    lines = (folder / "events.ndjson").read_text().splitlines()
    events = [json.loads(line) | {"attack": HOSTILE, "reason": HOSTILE} for line in lines]
    text = "".join(json.dumps(event) + "\n" for event in events)
    (folder / "events.ndjson").write_text(text)
    return folder


def test_hostile_names_are_text_on_every_page(hostile):
    server = PageServer(Runs(hostile.parent))
    try:
        at = f"/run/{quote(hostile.name, safe='')}/"
        for path in ("/", at, "/run/" + quote(HOSTILE, safe="")):
            page = ask(server, path).text.encode("latin-1").decode()
            found = Elements(page)
            assert "img" not in found.tags
            assert found.acting == []
            assert found.tags.count("script") in (0, 2), "the page's own"
            assert (HOSTILE in "".join(found.texts)) is (path == at or path == "/")
        stream = ask(server, f"{at}events").text
        assert "<" not in stream
        records = [record for _, record in told_in(stream)]
        assert records[0]["name"] == HOSTILE
    finally:
        server.close()


def test_a_taken_port_is_said(server, run_folder):
    port = urlsplit(server.address).port
    with pytest.raises(RunRefused, match=f"port {port}: cannot be used: .*--port"):
        PageServer(Runs(run_folder.parent), port)


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(RunRefused, match="has no run"):
        Runs(tmp_path)
    with pytest.raises(RunRefused, match="no such folder"):
        Runs(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunRefused, match="no such folder"):
        Runs(tmp_path / "file")


def test_a_linked_run_is_refused(run_folder, tmp_path):
    (tmp_path / "link").symlink_to(run_folder)
    with pytest.raises(RunRefused, match="is a link"):
        Runs(tmp_path).find("link")


def test_a_server_leaves_the_handlers_of_this_process_open(run_folder):
    closed = []
    handler = logging.StreamHandler()
    handler.close = lambda: closed.append(True)
    with contextlib.closing(PageServer(Runs(run_folder.parent))):
        assert closed == []
    logging.StreamHandler.close(handler)
