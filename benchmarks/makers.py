"""Makers: the commands that make the pictures and tables of the README and of docs/."""

from __future__ import annotations

import robustness
from maker import Maker, Text
from momentum_tables import means_table, momentum_closed, momentum_table, momentum_worth
from page_tables import EPSILONS, Axis, grid_table, law_table, short
from single_tables import (
    against_first,
    agreed_table,
    directions_table,
    effort_table,
    kept_table,
    linkability_table,
    lost_table,
    masks_table,
    membership_table,
    pivoted_table,
    public_table,
    results_table,
    seeds_table,
    tuned_table,
    warm_table,
    weights_table,
    with_machine,
)
from walk_tables import surface_table, walk_table
from zoo_tables import zoo_table

README, ACCURACY, LEDGER = "README.md", "docs/accuracy.md", "docs/ledger.md"
GROUPS, AUDITS, MOMENTUM = "docs/groups.md", "docs/audits.md", "docs/momentum.md"
SCALE, PERFORMANCE = "docs/scale.md", "docs/performance.md"


def epsilon_maker(name: str, *, minutes: float, words: tuple[str, ...], metric: str) -> Maker:
    """Return the maker of a sweep over holders, groups and epsilon."""
    rows = Axis("holders", ("nodes.holders",)), Axis("noise", ("nodes.groups",), ALONE_OR_TEN)
    made = grid_table(rows, Axis("", EPSILONS, words), metric)
    return Maker(
        commands=(f"fedchain sweep {name}",),
        minutes=minutes,
        pictures=epsilon_pictures(name, metric),
        texts={"": Text(ACCURACY, made)},
    )


def epsilon_pictures(name: str, metric: str) -> dict[str, str]:
    """Return the two pictures of a sweep over epsilon."""
    return {
        f"{name}.png": f"figures/{metric}_against_epsilon.png",
        f"{name}_rounds.png": f"figures/{metric}_over_rounds.png",
    }


def mechanisms_maker(*settings: str, minutes: float) -> Maker:
    """Return the maker of a table of mechanisms and holders, for one task."""
    command = " ".join(["fedchain sweep mechanisms_and_holders", *(f"--set {s}" for s in settings)])
    made = grid_table(
        [Axis("total epsilon, mechanism", ("privacy.epsilon", "privacy"), MECHANISMS)],
        Axis("", ("nodes.holders",), ("10 holders", "20", "50", "100")),
        "accuracy",
    )
    return Maker(commands=(command,), minutes=minutes, texts={"": Text(ACCURACY, made)})


def subspace_maker(*settings: str) -> Maker:
    """Return the maker of a table of public subspaces; the step size is chosen on other seeds."""
    command = " ".join(["fedchain sweep public_subspace", *(f"--set {s}" for s in settings)])
    columns = Axis("", ("task",), ("neither", "subspace", "warm start", "both"))
    made = tuned_table(Axis("total epsilon", EPSILONS), columns, "accuracy")
    commands = f"{command} --set seed=10 --seeds 2", command
    return Maker(commands=commands, minutes=3, texts={"": Text(ACCURACY, made)})


ALONE_OR_TEN = "each for itself", "groups of ten"
SCAN_GROUPS = (
    "each for itself",
    "groups of 5: 4 honest, 1 may be lost",
    "all 20 together: 16 honest, 2 may be lost",
)
DIGIT_GROUPS = (
    "each for itself: noise of 1",
    "two groups of 5, 4 honest, 1 may be lost: of 3",
    "ten together, 8 honest, 1 may be lost: of 7",
    "ten together, all honest and there: of 10",
)
MECHANISMS = tuple(
    f"{epsilon}, `{kind}`"
    for epsilon in (1, 4)
    for kind in ("gaussian", "skellam", "knorm", "laplace")
)
FILTERS = "`gaussian`", "`privacy_filter`", "`growth: 2`"
UNTUNED = "both without tuning", "automatic clip, Adam", "clip .5, distance"
AVERAGES = (
    "Adam",
    "`averaged`, `from_round: 21`",
    "`averaged`, `decay: 0.8`",
    "`filtered`, `drift: 0.5`",
    "both: `decay: 0.8`, `drift: 0.5`",
)
NO_TUNING = Axis("total epsilon", EPSILONS, ("0.5", "1", "2", "4", "8", "infinite"))
RULES = tuple(
    f"{{kind: {rule}, scale: median_clip}}"
    for rule in ("mean", "l_nearest, keep: 16", "caf, byzantine: 4", "dnc, byzantine: 4")
)
WARM = "--set privacy.epsilon=0.5,1,4 --set ledger.work.difficulty_bits=6"
STEPS = "--set update.learning_rate=0.01,0.02,0.04,0.08"
TUNING = "--set seed=10 --seeds 2"
PRINTED_RULES = "--set 'aggregation={kind: mean},{kind: median},{kind: l_nearest, keep: 8}'"
PRINTED_NAMES = (
    "--set 'labels={privacy.epsilon: privacy budget ε, accuracy: test accuracy, "
    "l_nearest: l-nearest}'"
)
NETWORK = "--set 'task.model={kind: mlp, hidden: [128, 64]}'"

MAKERS: dict[str, Maker] = {
    "first_light": Maker(
        commands=("python benchmarks/first_light.py {out}",),
        minutes=2,
        pictures={"masks.png": "masks.png", "terminal.svg": "terminal.svg"},
    ),
    "results": Maker(
        commands=(
            "fedchain sweep first_light --set privacy.kind=gaussian,none --seeds 5",
            "fedchain sweep breast_cancer --set privacy.kind=gaussian,none --seeds 5",
        ),
        minutes=8,
        texts={"": Text(README, results_table)},
    ),
    "first_light_seeds": Maker(
        commands=("fedchain sweep first_light --set privacy.kind=gaussian,none --seeds 3",),
        minutes=6,
        texts={"": Text(ACCURACY, seeds_table)},
    ),
    "print": Maker(
        commands=(
            "fedchain sweep breast_cancer --set rounds=20 --set privacy.epsilon=0.5,1,2,4,8 "
            f"{PRINTED_RULES} --set 'attacks=[{{kind: sign_flip, count: 2}}]' {PRINTED_NAMES} "
            "--seeds 5",
            "fedchain report {0} --width ieee1 --serif",
        ),
        minutes=2,
        pictures={"print.png": "figures/accuracy_against_epsilon.png"},
        texts={"": Text("docs/print.md", pivoted_table)},
    ),
    "convergence": Maker(
        commands=("fedchain sweep convergence_vs_epsilon",),
        minutes=1.5,
        pictures={"convergence.png": "figures/accuracy_against_epsilon.png"},
        texts={"": Text(README, with_machine(grid_table(
            [Axis("total epsilon, delta 1e-5", (), ("accuracy, mean ± 95 % interval",))],
            Axis("", EPSILONS, ("0.5", "1", "2", "4", "8", "no noise")),
            "accuracy",
        )))},
    ),
    "epsilon_digits": epsilon_maker(
        "epsilon_digits", minutes=15, metric="accuracy", words=("ε 0.5", "1", "2", "4", "none")
    ),
    "epsilon_breast_cancer": epsilon_maker(
        "epsilon_breast_cancer", minutes=10, metric="accuracy",
        words=("ε 0.5", "1", "2", "4", "none"),
    ),
    "epsilon_mnist": epsilon_maker(
        "epsilon_mnist", minutes=15, metric="accuracy", words=("ε 1", "4", "none")
    ),
    "epsilon_scans": Maker(
        commands=("fedchain sweep epsilon_scans",),
        minutes=30,
        pictures=epsilon_pictures("epsilon_scans", "iou"),
        texts={
            "": Text(ACCURACY, grid_table(
                [Axis("noise", ("nodes.groups",), SCAN_GROUPS)],
                Axis("", EPSILONS, ("ε 1", "4", "8", "none")),
                "iou",
            )),
            "left": Text(ACCURACY, kept_table),
        },
    ),
    "scans_and_holders": Maker(
        commands=("fedchain sweep scans_and_holders",),
        minutes=15,
        pictures={"scans_and_holders.png": "figures/iou_against_nodes_holders.png"},
        texts={"": Text(ACCURACY, lost_table)},
    ),
    "warm_start": Maker(
        commands=(
            f"fedchain sweep convergence_vs_epsilon {WARM} {STEPS} {TUNING}",
            f"fedchain sweep convergence_vs_epsilon {WARM} {STEPS}",
            f"fedchain sweep warm_start {WARM} {STEPS} {TUNING}",
            f"fedchain sweep warm_start {WARM} {STEPS}",
            "fedchain sweep warm_start --set task.records=20,50,100,200"
            " --set privacy.epsilon=1 --set ledger.work.difficulty_bits=6",
        ),
        minutes=8,
        texts={"": Text(ACCURACY, warm_table), "records": Text(ACCURACY, public_table)},
    ),
    "subspace": subspace_maker("attacks=[]", "aggregation.keep=10"),
    "subspace_attacked": subspace_maker(),
    "few_directions": Maker(
        commands=(f"fedchain sweep few_directions {TUNING}", "fedchain sweep few_directions"),
        minutes=6,
        texts={"": Text(ACCURACY, directions_table)},
    ),
    "averages": Maker(
        commands=("fedchain sweep averages",),
        minutes=4,
        texts={"": Text(ACCURACY, against_first(
            Axis("total epsilon", EPSILONS), Axis("", ("update",), AVERAGES), "accuracy"
        ))},
    ),
    "without_tuning": Maker(
        commands=("fedchain sweep without_tuning",),
        minutes=4,
        texts={"": Text(ACCURACY, grid_table(
            [NO_TUNING],
            Axis("", ("privacy.clip", "update"), (*UNTUNED, "clip .5, Adam: both tuned")),
            "accuracy",
        ))},
    ),
    "rounds_at_fixed_epsilon": Maker(
        commands=("fedchain sweep rounds_at_fixed_epsilon",),
        minutes=2,
        texts={"": Text(ACCURACY, grid_table(
            [Axis("total epsilon", EPSILONS)],
            Axis("", ("rounds",), ("5 rounds", "10", "20", "40", "80", "160")),
            "accuracy",
        ))},
    ),
    "mechanisms": mechanisms_maker(minutes=5),
    "mechanisms_breast_cancer": mechanisms_maker(
        "'task={kind: breast_cancer, split: {kind: iid}, model: {kind: logistic}}'",
        "update.learning_rate=0.1",
        minutes=4,
    ),
    "mechanisms_mnist": mechanisms_maker(
        "'task={kind: mnist_5k, split: {kind: iid}, model: {kind: softmax}}'",
        "update.learning_rate=0.03",
        minutes=12,
    ),
    "privacy_filter": Maker(
        commands=("fedchain sweep privacy_filter",),
        minutes=12,
        texts={"": Text(ACCURACY, against_first(
            Axis("total epsilon", EPSILONS), Axis("", ("privacy",), FILTERS), "accuracy"
        ))},
    ),
    "mechanisms_scans": Maker(
        commands=(
            "fedchain sweep epsilon_scans --set nodes.groups=null --set privacy.epsilon=1,8"
            " --set privacy.kind=gaussian,skellam,knorm,laplace",
        ),
        minutes=20,
        texts={"": Text(ACCURACY, grid_table(
            [Axis("total epsilon", EPSILONS)],
            Axis("", ("privacy.kind",), ("`gaussian`", "`skellam`", "`knorm`", "`laplace`")),
            "iou",
        ))},
    ),
    "groups": Maker(
        commands=("fedchain sweep groups",),
        minutes=3,
        texts={"": Text(GROUPS, grid_table(
            [Axis("", ("nodes.groups",), DIGIT_GROUPS)],
            Axis("", EPSILONS, ("ε 0.5", "1", "2", "4", "no noise")),
            "accuracy",
        ))},
    ),
    "secure_aggregation": Maker(
        commands=("python benchmarks/secure_aggregation.py --json",),
        minutes=1,
        texts={"": Text(GROUPS, masks_table)},
    ),
    "weights": Maker(
        commands=("python benchmarks/weights.py --json --out {out}",),
        minutes=8,
        texts={"": Text(ACCURACY, weights_table)},
    ),
    "stale_blocks": Maker(
        commands=("fedchain sweep stale_blocks",),
        minutes=2,
        pictures={"stale_blocks.png": "figures/stale_share_against_delay.png"},
        texts={"": Text(LEDGER, law_table(
            "delay / interval", ["measured"], beside=lambda x: short(x / (1 + x))
        ))},
    ),
    "selfish_mining": Maker(
        commands=("fedchain sweep selfish_mining",),
        minutes=8,
        pictures={"selfish_mining.png": "figures/selfish_revenue_against_share.png"},
        texts={"": Text(LEDGER, law_table("share of the work", ["γ = 0", "γ = .5", "γ = .9"]))},
    ),
    "double_spend": Maker(
        commands=("fedchain sweep double_spend",),
        minutes=10,
        pictures={"double_spend.png": "figures/double_spends_against_confirmations.png"},
        texts={"": Text(LEDGER, law_table(
            "confirmations", ["share .125", "share .3", "share .417"]
        ))},
    ),
    "block_interval": Maker(
        commands=("fedchain sweep block_interval",),
        minutes=5,
        pictures={
            "block_interval.png": "figures/effort_until_accuracy.png",
            "wasted_releases.png": "figures/releases_against_stale_share.png",
        },
        texts={"": Text(LEDGER, effort_table)},
    ),
    "partition": Maker(
        commands=("fedchain run partition", "fedchain report {0} --figures png"),
        minutes=0.5,
        pictures={"partition.png": "figures/heads_over_time.png"},
    ),
    "agreed": Maker(
        commands=("python benchmarks/agreed.py --json",),
        minutes=0.5,
        texts={"": Text(LEDGER, agreed_table)},
    ),
    "zoo": Maker(
        commands=("python benchmarks/zoo.py --json",),
        minutes=5,
        texts={"": Text("docs/scan_models.md", zoo_table)},
    ),
    "surface_walk": Maker(
        commands=("python benchmarks/surface_walk.py {out}",),
        minutes=6,
        pictures={
            name: name for name in ("surface_poisson.png", "surface_marching.png")
        },
        texts={"": Text("docs/surfaces.md", surface_table)},
    ),
    "upsampled": Maker(
        commands=("python benchmarks/upsampling_pictures.py {out}",),
        minutes=1,
        pictures={"upsampled.png": "upsampled.png"},
    ),
    "scan_walk": Maker(
        commands=("python benchmarks/scan_walk.py {out}",),
        minutes=3,
        pictures={
            name: name
            for name in (
                "scan_simulated.png",
                "scan_training.png",
                "scan_cleaned.png",
                "scan_errors.png",
            )
        },
        texts={"": Text("docs/scans.md", walk_table)},
    ),
    "momentum": Maker(
        commands=("python benchmarks/momentum.py {out}",),
        minutes=6,
        pictures={"rho_against_beta.png": "rho_against_beta.png"},
        texts={
            "": Text(MOMENTUM, momentum_table),
            "closed": Text(MOMENTUM, momentum_closed),
            "worth": Text(MOMENTUM, momentum_worth),
        },
    ),
    "momentum_scans": Maker(
        commands=(
            "fedchain sweep first_light --set attacks=[] --set 'aggregation={kind: mean}'"
            " --set 'nodes.momentum=null,{kind: ema, beta: 0.9}'"
            " --set update.learning_rate=0.01,0.04 --set ledger.work.difficulty_bits=6"
            " --set nodes.compute=1 --seeds 2",
        ),
        minutes=4,
        texts={"": Text(MOMENTUM, means_table(
            [("momentum", ("none", "beta .9"))], ("IoU, step .01", "step .04"), "iou"
        ))},
    ),
    "momentum_attacked": Maker(
        commands=(
            "fedchain sweep few_directions"
            " --set 'task={kind: digits},{kind: public_pca, of: {kind: digits}}'"
            f" --set 'aggregation={','.join(RULES)}'"
            " --set 'nodes.momentum=null,{kind: ema, beta: 0.5},{kind: ema, beta: 0.9}'"
            " --set 'attacks=[],[{kind: adaptive, share: 0.2, knowledge: omniscient}]'"
            " --set privacy.epsilon=8 --set update.learning_rate=0.1 --seeds 2",
        ),
        minutes=6,
        texts={"": Text(MOMENTUM, means_table(
            [
                ("inputs", ("all 64", "16 of public records")),
                ("rule", ("mean", "l-nearest", "CAF", "DnC")),
            ],
            [f"{beta}: {who}" for beta in ("no momentum", "beta .5", "beta .9")
             for who in ("nobody attacks", "adaptive")],
            "accuracy",
        ))},
    ),
    "claimed_epsilon": Maker(
        commands=("fedchain audit audit --attack canaries,one-run --epsilon 0.5,1,2,4,8",),
        minutes=1,
        pictures={"claimed_epsilon.png": "figures/claimed_and_measured.png"},
    ),
    "membership": Maker(
        commands=(
            f"fedchain audit convergence_vs_epsilon {NETWORK}"
            " --attack membership --epsilon 8,inf",
        ),
        minutes=3,
        texts={"": Text(AUDITS, membership_table)},
    ),
    "inversion": Maker(
        commands=(
            f"fedchain audit convergence_vs_epsilon {NETWORK}"
            " --attack inversion --epsilon 8,1000,inf",
        ),
        minutes=3,
        pictures={"inversion.png": "figures/reconstructed_pictures.png"},
    ),
    "linkability": Maker(
        commands=(
            f"fedchain audit convergence_vs_epsilon {NETWORK}"
            " --attack linkability --epsilon 8,1000,inf",
        ),
        minutes=1,
        texts={"": Text(AUDITS, linkability_table)},
    ),
    "predictions": Maker(
        commands=(
            "python benchmarks/predictions.py --json {out}/predictions.json --into docs/scale.md",
        ),
        minutes=2,
        texts={
            name: Text(SCALE)
            for name in ("rates", "predictions", "breaks", "parameters", "holders")
        },
    ),
    "lessons": Maker(
        commands=("python benchmarks/lesson_pictures.py {out}",),
        minutes=0.5,
        pictures={f"lesson_{n}.png": f"lesson_{n}.png" for n in range(1, 8)},
    ),
    "process_page": Maker(
        commands=("python benchmarks/process_page.py {out}",),
        minutes=3,
        pictures={"process_page.png": "process_page.png"},
    ),
    "page": Maker(
        commands=("python benchmarks/page_pictures.py {out}",),
        minutes=1,
        pictures={
            f"{name}.png": f"{name}.png"
            for name in (
                "page", "page_network", "page_compass", "page_learning", "page_privacy",
                "page_masks", "page_points", "page_ledger",
            )
        },
    ),
    "performance": Maker(
        commands=("python benchmarks/compare.py --json {out}/performance.json",),
        minutes=15,
        page=PERFORMANCE,
    ),
    **robustness.MAKERS,
}  # fmt: skip
"""All makers by name, in the order of the pages."""
