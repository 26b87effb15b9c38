"""Tests of serve, demo, run --page and report --replay."""

import contextlib
import re
import socket
import urllib.request

import pytest
import typer
from command_line import call
from small_runs import small

import fedchain
from fedchain.commands import serving
from fedchain.scenario.writing import resolved_yaml

ADDRESS = re.compile(r"page +(http://127\.0\.0\.1:\d+/\S*) ")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    fedchain.run(small(2), folder)
    return folder


@pytest.fixture
def asked(monkeypatch):
    """Read each page that a command serves at the moment at which it waits for Ctrl-C."""
    found = []

    def read(address, *_):
        found.append(address)

    def wait():
        with urllib.request.urlopen(found[-1]) as answer:
            found.append(answer.read().decode())

    tell_address = serving.tell_address

    def announced(server, path, open_):
        tell_address(server, path, open_)
        read(server.address.removesuffix("/") + path)

    monkeypatch.setattr(serving, "tell_address", announced)
    monkeypatch.setattr(serving, "wait_for_end", wait)
    return found


@pytest.fixture
def scenario(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "small.yaml"
    file.write_text(resolved_yaml(small(2)))
    return file


def test_serve_shows_the_list_of_a_folder_and_the_page_of_a_run(runs, asked):
    (run,) = runs.iterdir()
    whole = call("serve", runs, "--no-open")
    assert (whole.code, whole.out) == (0, "")
    assert ADDRESS.match(whole.err)[1] == asked[0]
    assert f'href="/run/{run.name}/"' in asked[1]
    call("serve", run, "--no-open")
    assert asked[2].endswith(f"/run/{run.name}/")
    assert "fedchain-source" in asked[3]


def test_serve_refuses_what_has_no_run_and_a_taken_port(runs, tmp_path):
    answer = call("serve", tmp_path)
    assert answer.code == 2
    assert "has no run" in answer.err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = call("serve", runs, "--no-open", "--port", port)
    assert answer.code == 2
    assert answer.err.startswith(f"port {port}: cannot be used: ")


def test_run_page_shows_the_run_and_then_waits(scenario, asked):
    plain = call("run", scenario, "--out", "plain", "--format", "plain")
    answer = call("run", scenario, "--page", "--no-open", "--format", "plain")
    assert answer.code == plain.code == 0
    (run,) = (scenario.parent / "runs").iterdir()
    assert asked[0].endswith(f"/run/{run.name}/")
    assert asked[1] == asked[0]  # told again: the rounds have moved the first line out of sight
    assert answer.err.splitlines()[-1].startswith(f"page      {asked[0]} ")
    assert "honest holders reached" in asked[2]
    assert (run / "travel.ndjson").stat().st_size > 0
    told = [line for line in answer.out.split("\n") if line.startswith("ledger")]
    assert told == [line for line in plain.out.split("\n") if line.startswith("ledger")]
    assert ADDRESS.search(answer.err)


def test_run_page_shows_a_run_that_ended_before(scenario, asked):
    call("run", scenario)
    answer = call("run", scenario, "--page", "--no-open")
    assert "nothing was run" in answer.err
    assert "honest holders reached" in asked[1]


@pytest.mark.parametrize("code", [1, 6])
def test_the_exit_code_is_that_of_the_run(code, runs, asked):
    (run,) = runs.iterdir()
    with pytest.raises(typer.Exit) as caught, serving.live_page(True, run, 0, False):
        raise typer.Exit(code)
    assert caught.value.exit_code == code
    assert len(asked) == 2, "the page was there until the end"


def test_an_interrupted_or_failed_run_does_not_wait(runs, asked):
    (run,) = runs.iterdir()
    for error in (typer.Exit(130), KeyboardInterrupt(), fedchain.errors.RunError("no")):
        with contextlib.suppress(type(error)), serving.live_page(True, run, 0, False):
            raise error
    assert asked == []


def test_no_browser_is_opened_without_a_display(monkeypatch):
    opened = []
    monkeypatch.setattr(serving.webbrowser, "open", lambda address: opened.append(address) or True)
    monkeypatch.setattr(serving.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not serving.open_browser("http://127.0.0.1:1/")
    monkeypatch.setenv("DISPLAY", ":0")
    assert serving.open_browser("http://127.0.0.1:1/")
    assert opened == ["http://127.0.0.1:1/"]


def test_demo_runs_the_scenario_of_a_lesson(scenario, asked, monkeypatch):
    monkeypatch.setattr(
        "fedchain.scenario.shipped.lesson_files", lambda: {"05_poison_scans": scenario}
    )
    for name in ("5", "05", "poison", "05_poison"):
        assert serving.lesson_file(name) == scenario
    assert call("demo", "5", "--no-open").code == 0
    assert "honest holders reached" in asked[-1]
    for name, said in (("8", "there is none; allowed: 01_hash, "), ("7", "has no chain ")):
        answer = call("demo", name)
        assert answer.code == 2
        assert answer.err.startswith(f"lesson {name!r}: {said}")


def test_report_replay_writes_the_page_beside_the_report_and_links_it(runs):
    (run,) = runs.iterdir()
    answer = call("report", run, "--replay", "--figures", "svg", "--tables", "csv")
    assert answer.code == 0
    assert str(run / "replay.html") in answer.out.split("\n")
    assert '<a href="replay.html">' in (run / "report.html").read_text()
    assert "gzip+base64" in (run / "replay.html").read_text()


def test_a_port_that_is_taken_is_told_before_a_run_begins(scenario):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = call("run", scenario, "--page", "--no-open", "--port", port)
    assert answer.code == 2
    assert answer.err.startswith(f"port {port}: cannot be used: ")
    assert not (scenario.parent / "runs").exists()
