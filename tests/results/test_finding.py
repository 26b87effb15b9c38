"""The finding of a run is one sentence, in which every number is the run's."""

import math
from typing import Any

import pytest
from made_up import make_run, make_sweep

from fedchain.reports.findings import finding_of
from fedchain.reports.opening import open_study
from fedchain.results.finding import finding, three_digits


def manifest(**changes: Any) -> dict[str, Any]:
    scenario = {
        "nodes": {"holders": 20, "compute": 3},
        "attacks": changes.pop("attacks", []),
        "privacy": {"epsilon": changes.pop("budget", 8.0)},
    }
    usual = {"status": "finished", "height": 40, "rounds": 40, "score": "iou", "refused": 0}
    usual |= {"stale_blocks": 10, "misconduct": [], "epsilon": {"total": 7.548}}
    usual |= {"baselines": {"keep": {"iou": 0.2}, "morphology": {"iou": 0.1}}}
    return {**usual, "scenario": scenario, **changes}


def counts(byzantine: int = 0, byzantine_used: int = 0) -> dict[str, int]:
    return {"messages": 800, "used": 640, "byzantine": byzantine, "byzantine_used": byzantine_used}


def test_the_best_baseline_stands_beside_the_score_and_epsilon_beside_its_budget():
    found = finding(manifest(), {"iou": 0.6723}, counts())
    assert found == "20 holders reached IoU .672 (keep: .200) at ε 7.55 of 8."


@pytest.mark.parametrize(
    ("used", "words"),
    [
        (0, "all 42 messages of the 3 attackers were left out."),
        (42, "all 42 messages of the 3 attackers were used."),
        (27, "27 of 42 messages of the 3 attackers were used."),
    ],
)
def test_attackers_are_no_honest_holders_and_their_used_messages_are_counted(used, words):
    attacks = [{"holders": [1]}, {"share": 0.1, "holders": None}, {"nodes": [0], "holders": None}]
    found = finding(manifest(attacks=attacks), {"iou": 0.5}, counts(42, used))
    assert found.startswith("17 honest holders reached IoU .500")
    assert found.endswith(words)


def test_a_score_below_the_best_baseline_is_called_no_better():
    assert "IoU .150 (no better than keep: .200)" in finding(manifest(), {"iou": 0.15}, counts())


def test_for_a_loss_the_least_baseline_is_the_best():
    baselines = {"majority": {"loss": 0.7}, "mean": {"loss": 0.6}}
    losing = manifest(score="loss", baselines=baselines)
    assert "loss .650 (no better than mean: .600)" in finding(losing, {"loss": 0.65}, counts())


def test_a_run_without_a_guarantee_states_no_epsilon():
    bare = manifest(epsilon={"total": None}, budget=math.inf)
    assert finding(bare, {"iou": 0.5}, counts()).endswith("without a guarantee of privacy.")


def test_a_run_that_goes_on_says_how_far_it_is():
    early = finding(manifest(status="running", height=7), {"iou": 0.5}, counts())
    assert early.startswith("After 7 of 40 rounds, 20 holders reached")


def test_a_chain_without_learning_says_how_much_work_went_stale():
    found = finding(manifest(), {}, counts())
    assert found == "3 compute nodes agreed on 40 blocks; 10 more went stale (20.0% of the work)."


def test_dishonest_compute_nodes_and_refusals_are_counted():
    rows = [{"kind": "wrong_weights", "node": 2}]
    found = finding(manifest(misconduct=rows, refused=9), {"iou": 0.5}, counts())
    assert "1 compute node broke the protocol (1 by wrong weights)" in found
    assert "honest ones refused 9 times" in found


def test_what_is_no_number_is_said_to_be_none():
    assert three_digits(math.nan) == three_digits(None) == "no finite number"


def test_the_finding_of_a_sweep_names_its_best_and_its_worst_point(tmp_path):
    make_sweep(tmp_path, epsilons=(0.5, 2.0))
    found = finding_of(open_study(tmp_path))
    assert found.startswith("Accuracy .")
    assert "at best (ε = 2) and ." in found
    assert "at worst (ε = 0.5); majority: .100. 2 points, 3 seeds each." in found


def test_page_report_and_terminal_begin_with_the_same_sentence(tmp_path):
    made = make_run(tmp_path, attack_from=6, captured=0.4, misconduct=[])
    words = finding_of(open_study(tmp_path))
    assert words.endswith("all 7 messages of the 1 attacker were used.")
    rows = made.metrics
    sums = {n: sum(row[n] for row in rows) for n in counts()}
    assert words == finding(made.manifest, rows[-1], sums)
