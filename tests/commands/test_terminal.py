"""What the terminal shows of a run: whom the rule left out, and which attackers it used."""

import io
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from fedchain.commands import HELP_GROUPS, assemble, waiting
from fedchain.commands.explorer import bits_words
from fedchain.commands.fates import left_out_words
from fedchain.commands.formats import in_lines, table, tables_that_fit
from fedchain.commands.headings import settings_line
from fedchain.commands.terminal import ALARM, CALM, Terminal, coloured
from fedchain.commands.waiting import WaitingSign
from fedchain.results import MessageRecord, RoundRecord
from fedchain.runs.callbacks import RoundEnd
from fedchain.scenario import load

MESSAGE = MessageRecord(
    round=1, block="ab", holder=0, id="00", norm=1.0, cosine=0.5, used=True, reason="",
    epsilon=None, attack="", late=False, members=1,
)  # fmt: skip
ROUND = RoundRecord(
    round=1, height=1, block="abcdef0123", miner=0, time_s=1.0, messages=3, used=2, byzantine=1,
    byzantine_used=1, epsilon=None, releases=1, stale_blocks=0, reorganisations=0,
)  # fmt: skip


def sent(holder: int, *, used: bool, attack: str = "") -> MessageRecord:
    return replace(MESSAGE, holder=holder, used=used, attack=attack)


def words_of(messages: list[MessageRecord]) -> str:
    return " ".join(word for word, _ in left_out_words(messages, 18))


def test_a_used_attacker_comes_first_with_a_mark_and_honest_holders_are_counted_last():
    told = [
        sent(3, used=False),
        sent(9, used=False, attack="alie"),
        sent(4, used=True),
        sent(14, used=True, attack="alie"),
    ]
    assert words_of(told) == "h14! h9 1 honest"
    assert [fate for _, fate in left_out_words(told, 18)] == ["used", "caught", "honest"]


@pytest.mark.parametrize("attackers", [1, 4, 9, 60])
def test_names_that_do_not_fit_are_counted_and_used_ones_stay_apart(attackers):
    told = [sent(k, used=k % 2 == 0, attack="alie") for k in range(2 * attackers)]
    told += [sent(200 + k, used=False) for k in range(9)]
    words = words_of(told)
    assert len(words) <= 18
    counted = {"!": 0, "": 0}
    for number, mark in re.findall(r"\+(\d+)(!?)", words):
        counted[mark] += int(number)
    for mark in re.findall(r"h\d+(!?)", words):
        counted[mark] += 1
    assert counted == {"!": attackers, "": attackers}
    assert words.endswith("9 honest")


def test_used_attackers_alarm_and_honest_holders_that_are_left_out_do_not():
    words = [("h14!", "used"), ("h9", "caught"), ("1 honest", "honest")]
    text = coloured("  1 h14! h9 1 honest", words)
    styles = {text.plain[span.start : span.end]: str(span.style) for span in text.spans}
    assert styles == {"h14!": ALARM, "1 honest": CALM}


def shown(*told: tuple[RoundRecord, list[MessageRecord]], scenario: str = "first_light") -> str:
    out = io.StringIO()
    setup = SimpleNamespace(
        task=SimpleNamespace(score="iou", name="scans", note="", learns=True),
        scenario=load(scenario), rules=SimpleNamespace(rounds=40, dimension=9),
        mechanism=SimpleNamespace(
            noise_multiplier=0.0, epsilon_after=float, terms=SimpleNamespace(releases=1)
        ),
    )  # fmt: skip
    terminal = Terminal(Console(file=out, width=80))
    terminal.on_run_begin(Path("run"), setup)
    for record, messages in told:
        terminal.on_round_end(RoundEnd(record, messages, dict))
    terminal.close()
    return out.getvalue()


def test_the_column_is_called_left_out_and_its_marks_are_explained_once():
    told = shown((ROUND, []), (replace(ROUND, round=2), []))
    assert "rejected" not in told
    assert told.count("h9! and +9! attackers\nwhom it USED") == 1
    assert re.search(r"round +loss +iou +epsilon +used +left out +block", told)


def test_without_attackers_no_marks_are_explained():
    assert "USED" not in shown(scenario="breast_cancer")


def test_a_round_that_is_told_again_after_a_fork_has_a_star_that_is_explained_once():
    rounds = [replace(ROUND, round=t) for t in (1, 2, 1, 2, 3)]
    told = shown(*((record, []) for record in rounds))
    assert re.findall(r"^ +(\d\*?) ", told, re.MULTILINE) == ["1", "2", "1*", "2*", "3"]
    assert told.count("told again: after a fork") == 1


def test_seed_model_loss_rule_and_network_are_on_the_first_screen():
    line = settings_line(load("first_light", seed=7), learns=True)
    for words in ("seed 7", "model gajdosech_unet (", "loss dice", "aggregation l_nearest (keep"):
        assert words in line
    assert line.endswith("network complete")
    assert "beta1" not in line  # which is adam's default


def test_bits_are_said_in_words():
    assert bits_words(521142271) == "521142271: 12 leading zero bits, one try in 4,096 succeeds"


def test_every_command_stands_in_one_group_of_the_help():
    named = [name for names in HELP_GROUPS.values() for name in names]
    assert sorted(named) == sorted(assemble().commands)


def test_a_table_of_many_metrics_breaks_no_word_at_80_columns():
    names = ("iou", "precision", "recall", "f1", "ap", "auc")
    rows = [("logistic_regression", *["0.123"] * len(names))]
    out = Console(file=io.StringIO(), width=80)
    out.print(table(("method", *names), rows))
    told = out.file.getvalue()
    for word in ("logistic_regression", *names):
        assert word in told
    assert max(map(len, told.splitlines())) <= 80


BASELINES = (
    "keep_everything", "erase_everything", "morphology", "statistical_outliers",
    "component_size", "distance_to_views",
)  # fmt: skip


def test_the_metrics_of_a_run_with_six_baselines_break_no_word_at_80_columns(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    heads = ["metric", "model", *(name.replace("_", " ") for name in BASELINES)]
    rows = [(name, *["0.1234"] * 7) for name in ("loss", "iou", "outlier_precision")]
    out = Console(file=io.StringIO(), width=80)
    made = tables_that_fit(heads, rows)
    for each in made:
        out.print(each)
    told = out.file.getvalue()
    assert len(made) == 2
    assert max(map(len, told.splitlines())) <= 80
    words = told.split()
    for word in {word for head in heads for word in head.split()} | {"outlier_precision"}:
        assert word in words
    assert words.count("0.1234") == 3 * 7


def test_a_table_that_fits_stays_one(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    heads = ["metric", "model", *(name.replace("_", " ") for name in BASELINES)]
    assert len(tables_that_fit(heads, [("iou", *["0.1"] * 7)])) == 1


def test_long_work_before_the_first_round_is_said_in_a_line_where_nobody_sees_a_sign():
    out = io.StringIO()
    console = Console(file=out, width=80)
    with WaitingSign(console, "Preparing the noise"):
        assert out.getvalue() == ""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(waiting, "SILENT_S", 0.01)
        shown = WaitingSign(console, "Preparing the noise")
        until = time.monotonic() + 10
        while not out.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
        shown.stop()
    assert out.getvalue() == "Preparing the noise ..\n"


def test_lines_are_broken_between_words_and_go_on_beside_their_label():
    told = in_lines("messages  " + "word-and-word " * 20, 80).splitlines()
    assert max(map(len, told)) <= 80
    assert all(line.startswith(" " * 10 + "word-and-word") for line in told[1:])
    assert {len(word) for line in told for word in line.split()} == {8, 13}
