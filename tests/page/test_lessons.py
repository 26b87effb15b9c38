"""Lessons: every number in a text comes from the recorded run, and every text has its place."""

from __future__ import annotations

import ast
import base64
import copy
import json
import re
from pathlib import Path
from string import Formatter

import numpy as np
import pytest
from command_line import call
from lesson_records import recorded_name
from small_runs import small

import fedchain
from fedchain.page.lessons.catalogue import LESSONS, RECORDED, lesson_named
from fedchain.page.lessons.contents import all_contents, contents_of, read_data, texts
from fedchain.page.lessons.glossary import entries_in, glossary
from fedchain.page.lessons.handouts import handouts
from fedchain.page.lessons.numbers import number_words, share, unpacked
from fedchain.page.lessons.sheets import questions
from fedchain.scans.training.scores import Judged, scores_of
from fedchain.scenario.shipped import lesson_files
from fedchain.sweeps.points import points_of

HOME = Path(__file__).parents[2]
NAMES = [lesson.name for lesson in LESSONS]
MOST_BYTES = 1_500_000


def other_hash(data):
    """Return another model: other weights, and one more of them."""
    model = base64.b64decode(data["model"])
    more = np.random.default_rng(3).bytes(len(model) - data["first"] + 8)
    data["model"] = base64.b64encode(model[: data["first"]] + more).decode()


def other_forks(data):
    for point in data["points"]:
        point["delay_s"] *= 1.3
        point["interval_s"] *= 2
        point["lost"] *= 0.8
    data["asked_delay_s"] *= 1.3


def other_round(data):
    data["arrows"] = [[0.1, 0.4], [0.3, -0.5], [0.2, 0.1], [-0.4, 0.2], [0.1, 0.2]]
    data["cosines"] = [0.9, 0.8, 0.7, 0.6, -0.8]
    data["used"] = [True, True, True, True, False]
    data["gradient"] = [0.3, 0.1]
    data["keep"] = 4


def other_epsilon(data):
    for curve in data["curves"]:
        curve["epsilon"] = float(curve["epsilon"]) * 2
        curve["iou"][-1] *= 0.5 + 0.1 * curve["seed"]
    for curve in data["curves"][-3:]:
        curve["epsilon"] = "inf"
    data["keep_everything"] *= 1.2


def other_poison(data):
    for name in ("scans", "table"):
        messages = [each for each in data[name] if each["is"] == "message"]
        for each in messages:
            each["cosine"] *= 0.9
            if each["attack"] and each["round"] < 12:
                each["attack"] = ""
        for each in [each for each in messages if each["attack"]][:5]:
            each["used"] = not each["used"]
        next(each for each in data[name] if each["is"] == "run")["epsilon_budget"] += 1


def other_tampering(data):
    data.update(blocks=7, weights=32, messages=40, difficulty_bits=13)


def other_points(data):
    data["count"] -= 100


OTHERS = dict(
    zip(
        NAMES,
        (
            other_hash, other_forks, other_round, other_epsilon, other_poison, other_tampering,
            other_points,
        ),
        strict=True,
    )
)  # fmt: skip
"""By lesson, what makes its recorded data those of another run."""


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_an_answer_changes_with_the_recorded_run(name):
    data = read_data(lesson_named(name))
    other = copy.deepcopy(data)
    OTHERS[name](other)
    before, after = number_words(name, data), number_words(name, other)
    used = {slot for text in answers_of(name) for _, slot, _, _ in Formatter().parse(text) if slot}
    assert used
    assert {slot for slot in used if before[slot] == after[slot]} == set()
    said = contents_of(lesson_named(name), other).texts["answer"]
    assert said != contents_of(lesson_named(name)).texts["answer"]


def answers_of(name):
    said = texts()["lessons"][name]
    return [said["answer"], said["finding"], *said["worksheet_answers"]]


def test_the_numbers_of_attackers_are_those_of_the_findings_of_the_runs():
    data = read_data(lesson_named("poison"))
    said = number_words("05_poison", data)
    scans, table = (
        next(each["finding"] for each in data[name] if each["is"] == "run")
        for name in ("scans", "table")
    )
    assert f"all {said['scans_left_out']} messages of attackers were left out" in scans
    assert f"{said['table_used']} of {said['table_sent']} messages of attackers" in table


def test_the_iou_of_a_filter_is_that_of_the_metrics_of_scans():
    data = read_data(lesson_named("points"))
    truth = unpacked(data["truth"], data["count"])[None]
    for name, said in number_words("07_points", data).items():
        if name in data["kept"]:
            kept = unpacked(data["kept"][name], data["count"])[None]
            judged = Judged(np.ones_like(truth), truth, kept, None)
            assert said == share(scores_of(judged)["iou"])


@pytest.mark.parametrize("name", NAMES)
def test_no_number_of_an_answer_is_typed_by_hand(name):
    law = "x / (1 + x)"  # the only digit that no run could change
    typed = {text for text in answers_of(name) if re.search(r"\d", slots_removed(text, law))}
    assert typed == set()


def slots_removed(text, law):
    return re.sub(r"\{\w+\}", "", text.replace(law, ""))


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_has_two_sentences(name):
    said = contents_of(lesson_named(name)).texts["answer"]
    assert len(re.findall(r"[.!?](?:\s|$)", said)) == 2


def test_the_recorded_runs_are_those_of_the_shipped_scenarios():
    files = lesson_files()
    assert {name for lesson in LESSONS for name in lesson.scenarios} == set(files)
    for lesson in LESSONS:
        made = [
            recorded_name(each)
            for name in lesson.scenarios
            for scenario in [fedchain.load(files[name])]
            for each in (
                [scenario]
                if scenario.sweep is None
                else [point.scenario for point in points_of(scenario)]
            )
        ]
        assert read_data(lesson)["runs"] == made


@pytest.mark.parametrize("lesson", LESSONS, ids=NAMES)
def test_the_code_that_a_lesson_names_is_there(lesson):
    path, _, name = lesson.code.partition(":")
    place = ast.parse((HOME / path).read_text("utf-8"))
    for part in name.split("."):
        named = [node for node in place.body if getattr(node, "name", None) == part]
        assert named, f"{path} has no {name}"
        place = named[0]


def test_of_fourteen_exit_questions_each_has_one_right_option_and_names_misconceptions():
    asked = questions(all_contents())
    assert len(asked) == len({each["id"] for each in asked}) == 14
    for each in asked:
        right = [option for option in each["options"] if option.get("right")]
        wrong = [option for option in each["options"] if "misconception" in option]
        assert len(right) == 1
        assert len(wrong) == len(each["options"]) - 1 >= 2


def test_the_page_plays_every_lesson_of_the_package():
    source = (HOME / "web" / "src" / "lessons" / "main.tsx").read_text("utf-8")
    assert re.findall(r'"(\d\d_\w+)":', source) == NAMES


def test_the_glossary_is_that_of_the_docs():
    words = entries_in((HOME / "docs" / "glossary.md").read_text("utf-8"))
    assert glossary() == words
    assert list(words) == sorted(words, key=str.lower)


def test_all_lessons_are_small_and_ask_for_nothing_outside():
    files = handouts()
    assert len(files["lessons.html"].encode()) < MOST_BYTES
    assert sum(path.stat().st_size for path in RECORDED.glob("*.gz")) < 200_000
    for name, text in files.items():
        assert re.findall(r"(?:src|href)=[\"']?https?:", text) == [], name
        assert name == "lessons.html" or "<script" not in text


def test_sheets_have_their_questions_and_answers():
    files, contents = handouts(), all_contents()
    assert files["worksheet.html"].count('class="sheet"') == 4
    assert files["slides.html"].count('class="slide"') == len(contents)
    for content in contents:
        assert content.texts["finding"] in files["slides.html"].replace("&#x27;", "'")
        for answer in content.texts["worksheet_answers"]:
            assert answer in files["answers.html"].replace("&#x27;", "'")


def test_a_lesson_is_named_by_number_word_or_name_and_others_are_told():
    assert lesson_named("3").name == lesson_named("round").name == "03_round"
    with pytest.raises(ValueError, match=r"allowed: 01_hash, .*07_points"):
        lesson_named("8")


def test_the_command_writes_all_files_and_replaces_none_that_differs(tmp_path):
    out = tmp_path / "class"
    made = json.loads(call("lessons", "-o", str(out), "--format", "json").out)
    assert {Path(file).name for file in made["files"]} == set(handouts())
    assert call("lessons", "-o", str(out)).code == 0
    (out / "slides.html").write_text("mine")
    refused = call("lessons", "-o", str(out))
    assert refused.code == 2
    assert "slides.html: is there already" in refused.err
    assert (out / "slides.html").read_text() == "mine"


def test_a_notebook_shows_a_run_in_a_frame_that_reaches_nothing_outside(tmp_path):
    shown = fedchain.show(fedchain.run(small(1), out=tmp_path))._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts" srcdoc="')
    assert shown.count("<") == 2  # everything of the page is escaped
    assert "connect-src &#x27;none&#x27;" in shown.replace("&amp;", "&")
