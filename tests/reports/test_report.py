import html
import importlib
import itertools
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import make_block_sweep, make_run, make_samples, make_sweep
from matplotlib import font_manager
from matplotlib.figure import Figure
from PIL import Image

from fedchain.errors import RunError
from fedchain.reports.figures import draw, style
from fedchain.reports.figures.axis import metric_against_axis
from fedchain.reports.figures.embedding import placed_fonts
from fedchain.reports.figures.fates import ABSENT, FAINT, FILLS, LEFT_OUT, USED, holder_fates
from fedchain.reports.figures.rounds import metric_over_rounds
from fedchain.reports.figures.style import finished, render
from fedchain.reports.findings import finding_of
from fedchain.reports.opening import open_study
from fedchain.reports.report import report
from fedchain.reports.settings import attack_words
from fedchain.reports.study import Recorded
from fedchain.results.finding import three_digits
from fedchain.scans.pictures import ERRORS, draw_panels


class Tags(HTMLParser):
    """Collects the tags, the addresses and the balance of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def blocks_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blocks")
    make_block_sweep(folder)
    return folder


@pytest.fixture(scope="module")
def sweep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    make_sweep(folder)
    return folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    make_run(folder, attack_from=6)
    make_samples(folder)
    return folder


def test_a_run_gets_the_figures_that_it_has_data_for(run_folder: Path) -> None:
    names = [drawing.name for drawing in draw(open_study(run_folder))]
    assert names == [
        "accuracy_over_rounds",
        "samples",
        "used_and_left_out",
        "shares_over_rounds",
        "epsilon_over_rounds",
        "loss_over_rounds",
        "time_per_round",
    ]


def test_a_run_without_privacy_or_pictures_has_no_figures_of_them(tmp_path: Path) -> None:
    make_run(tmp_path, epsilon=math.inf)
    names = {drawing.name for drawing in draw(open_study(tmp_path))}
    assert not {"samples", "epsilon_over_rounds"} & names
    assert "accuracy_over_rounds" in names


def test_the_axis_of_epsilon_is_logarithmic_and_infinity_is_a_dashed_line(
    sweep_folder: Path,
) -> None:
    drawing = draw(open_study(sweep_folder))[0]
    assert drawing.name == "accuracy_against_epsilon"
    axes = drawing.figure.axes[0]
    assert axes.get_xscale() == "log"
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["mean, 95 % interval"].get_xdata()) == [0.5, 2.0]
    assert lines["no privacy (ε = ∞)"].get_linestyle() == "--"
    assert lines["majority (no learning)"].get_ydata()[0] == pytest.approx(0.1)
    assert axes.get_xlabel() == "total ε of each holder (δ = 1e-5)"
    assert len(axes.collections) == 1


def test_of_many_curves_colours_say_one_key_and_lines_the_others(blocks_folder: Path) -> None:
    drawing = metric_against_axis(open_study(blocks_folder))
    assert drawing is not None
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "holders = 10", "holders = 20", "no groups", "size 10, honest 0.8", "majority (no learning)"
    ]  # fmt: skip
    curves = [line for line in drawing.figure.axes[0].lines if len(line.get_xdata()) == 2]
    signs = [
        (line.get_color(), line.get_marker()) for line in curves if line.get_marker() != "None"
    ]
    assert len(signs) == len(set(signs)) == 4
    assert len({colour for colour, _ in signs}) == len({marker for _, marker in signs}) == 2


def test_of_many_curves_infinity_is_a_place_to_the_right(blocks_folder: Path) -> None:
    drawing = metric_against_axis(open_study(blocks_folder))
    assert drawing is not None
    axes = drawing.figure.axes[0]
    places = [
        tick for tick in axes.get_xticks() if axes.xaxis.get_major_formatter()(tick, 0) == "∞"
    ]
    assert places == [8.0]
    assert not any("∞" in str(line.get_label()) for line in axes.lines)
    points = [x for line in axes.lines if len(xs := line.get_xdata()) == 1 for x in xs]
    assert len(set(points)) == len(points) == 4
    assert all(7 < place < 9 for place in points)


def test_more_curves_over_rounds_than_colours_stand_in_panels(blocks_folder: Path) -> None:
    drawing = metric_over_rounds(open_study(blocks_folder), "accuracy")
    assert drawing is not None
    titles = [axes.get_title().replace("\n", " ") for axes in drawing.figure.axes]
    assert titles == [
        "no groups, holders = 10", "no groups, holders = 20",
        "size 10, honest 0.8, holders = 10", "size 10, honest 0.8, holders = 20",
    ]  # fmt: skip
    texts = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert texts == ["ε = 0.5", "ε = 2", "no privacy", "majority (no learning)"]


def test_a_point_that_is_missing_does_not_shift_the_colours_of_its_panel(tmp_path: Path) -> None:
    make_block_sweep(tmp_path)
    study = open_study(tmp_path)
    last = study.runs[-1].values[:2]
    left = [m for m in study.runs if (*last, 0.5) != m.values]
    drawing = metric_over_rounds(replace(study, runs=tuple(left)), "accuracy")
    assert drawing is not None
    colours = [
        {line.get_color() for line in axes.lines if line.get_label() == "ε = 2"}
        for axes in drawing.figure.axes
    ]
    assert len(colours) == 4
    assert len(set.union(*colours)) == 1


def test_the_lowest_panel_of_each_column_has_the_numbers_of_the_rounds(blocks_folder: Path) -> None:
    study = open_study(blocks_folder)
    last = study.runs[-1].values[:2]
    three = replace(study, runs=tuple(m for m in study.runs if m.values[:2] != last))
    drawing = metric_over_rounds(three, "accuracy")
    assert drawing is not None
    ticks = [axes.xaxis.get_major_ticks(1)[0] for axes in drawing.figure.axes]
    assert [tick.label1.get_visible() for tick in ticks] == [False, True, True]
    assert [axes.get_xlabel() for axes in drawing.figure.axes] == ["", "round", "round"]


def test_the_curve_is_the_mean_of_the_seeds(sweep_folder: Path) -> None:
    study = open_study(sweep_folder)
    curve = draw(study)[0].figure.axes[0].lines[0]
    finals = [m.metrics[-1]["accuracy"] for m in study.runs if m.values == (0.5,)]
    assert curve.get_ydata()[0] == pytest.approx(np.mean(finals), rel=1e-12)


def test_dollars_in_a_label_are_no_mathematics() -> None:
    with style.styled():
        figure, axes = style.axes()
        axes.set(title="a $x_{ b $y", xlabel="$\\nothing$")
    drawing = style.finished("dollars", "", figure)
    assert style.render(drawing, "svg") == style.render(replace(drawing), "svg")


def test_a_figure_of_many_cells_is_pixels_in_its_svg_which_is_drawn_once(
    tmp_path: Path, monkeypatch
) -> None:
    sizes = {}
    for holders in (99, 100):
        make_run(tmp_path / str(holders), rounds=20, holders=holders, attack_from=1)
        study = open_study(tmp_path / str(holders))
        (drawing,) = (each for each in draw(study) if each.name == "used_and_left_out")
        sizes[holders] = render(drawing, "svg")
    assert b"<image" not in sizes[99]
    assert b"<image" in sizes[100]
    assert len(sizes[100]) < len(sizes[99]) / 3
    drawn = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda *given, **named: drawn.append(1) or save(*given, **named)
    )
    report([tmp_path / "100"], figures=["svg"])
    assert len(drawn) == len(draw(study))


def test_a_report_loads_audits_only_if_there_are_findings(tmp_path: Path, monkeypatch) -> None:
    make_run(tmp_path)
    loaded = []
    monkeypatch.setattr("importlib.import_module", loaded.append)
    report([tmp_path], figures=[])
    assert "fedchain.audits.statement" not in loaded


def test_a_run_of_one_round_marks_its_round_alone(tmp_path: Path) -> None:
    make_run(tmp_path, rounds=1)
    study = open_study(tmp_path)
    drawn = {drawing.name: drawing.figure.axes[0] for drawing in draw(study)}
    for name in ("epsilon_over_rounds", "time_per_round", "used_and_left_out"):
        low, high = sorted(drawn[name].get_xlim())
        assert [tick for tick in drawn[name].get_xticks() if low <= tick <= high] == [1]


def test_a_run_that_has_lost_its_events_or_never_had_any_is_not_told_to_go_on(
    tmp_path: Path,
) -> None:
    for status, height, words in (
        ("finished", 8, "is finished at height 8, but events.ndjson records no round of it"),
        ("stalled", 0, "stalled before its first round; nothing can be shown"),
        ("interrupted", 0, "no round is recorded yet; let the run go on first"),
    ):
        folder = tmp_path / status
        make_run(folder, status=status)
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**manifest, "height": height}))
        (folder / "events.ndjson").unlink()
        with pytest.raises(RunError, match=words):
            open_study(folder)


def test_the_report_of_a_sweep_knows_the_metrics_that_its_figures_may_show(tmp_path: Path) -> None:
    make_sweep(tmp_path)
    described = json.loads((tmp_path / "sweep.json").read_text())
    (tmp_path / "sweep.json").write_text(json.dumps({**described, "y": "acc"}))
    with pytest.raises(RunError, match=r"sweep\.y: no metric 'acc'; .*allowed: accuracy, loss"):
        open_study(tmp_path)


def test_a_figure_has_a_file_name_whatever_its_metric_is_called() -> None:
    assert (
        finished('dice:liver/"val"_over_rounds', "", Figure()).name
        == "dice_liver__val__over_rounds"
    )


def test_a_figure_is_drawn_once_for_each_of_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    draws: list[Figure] = []
    draw_it = Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda self, to: (draws.append(self), draw_it(self, to)))
    made, ax = style.axes()
    ax.plot([0, 1], [0, 1])
    drawing = finished("line", "", made)
    for count, kind in enumerate(("png", "svg", "pdf"), 1):
        render(drawing, kind)
        assert len(draws) == count


def test_fonts_are_embedded_without_the_tables_for_placing_letters_alone() -> None:
    subset = importlib.import_module("fontTools.subset")  # comes with matplotlib
    file, options = font_manager.findfont("DejaVu Sans"), subset.Options()
    with placed_fonts():
        light = subset.load_font(file, options)
    with subset.load_font(file, options) as whole, light:
        assert set(whole.keys()) - set(light.keys()) == {"GDEF", "GPOS", "GSUB"}
        shapes = "glyf", "hmtx", "cmap", "kern"
        assert all(light.reader[table] == whole.reader[table] for table in shapes)


def test_equal_data_give_equal_bytes(sweep_folder: Path, run_folder: Path) -> None:
    for folder in (sweep_folder, run_folder):
        first, second = draw(open_study(folder)), draw(open_study(folder))
        for number, (one, two) in enumerate(zip(first, second, strict=True)):
            # writing fonts into a PDF takes longest
            kinds = ("png", "svg", "pdf") if number == 0 else ("png", "svg")
            written = {kind: render(one, kind) for kind in reversed(kinds)}
            for kind in kinds:
                assert render(two, kind) == written[kind], (one.name, kind)


def test_a_pdf_embeds_its_fonts_as_truetype_at_column_width(sweep_folder: Path) -> None:
    data = render(draw(open_study(sweep_folder))[0], "pdf")
    assert b"/FontFile2" in data
    assert b"/Type3" not in data
    assert b"CreationDate" not in data
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ", data)
    assert box is not None
    assert float(box[1]) == pytest.approx(3.35 * 72, abs=0.01)


def test_a_message_counts_in_the_block_of_the_main_chain(tmp_path: Path) -> None:
    rows = [{"round": 1, "block": "aa"}, {"round": 2, "block": "bb"}]

    def message(**fields: object) -> dict[str, object]:
        return {"attack": "", "late": False, "used": False, "members": 1, **fields}

    messages = [
        message(round=1, holder=0, block="aa", used=True),
        message(round=1, holder=1, block="aa"),
        message(round=2, holder=0, block="xx", used=True),
        message(round=2, holder=1, block="xx", used=True),
        message(round=2, holder=1, block="bb", attack="sign_flip"),
        message(round=2, holder=2, block="bb", members=0),  # the public root is no holder
    ]
    fates, attacks = holder_fates(
        Recorded(folder=tmp_path, manifest={}, metrics=rows, messages=messages)
    )
    assert fates.tolist() == [[USED, ABSENT], [LEFT_OUT, LEFT_OUT]]
    assert attacks.tolist() == [[False, False], [False, True]]


def test_the_figure_of_shares_shows_what_attackers_got_beside_what_they_sent(
    tmp_path: Path,
) -> None:
    make_run(tmp_path, rounds=4, holders=5, attack_from=3, captured=0.35)
    (drawn,) = (each for each in draw(open_study(tmp_path)) if each.name == "shares_over_rounds")
    honest, attackers, sent = (patch.get_data() for patch in drawn.figure.axes[0].patches)
    assert honest.baseline.tolist() == attackers.values.tolist() == [0.0, 0.0, 0.35, 0.35]
    assert sent.values.tolist() == [0.0, 0.0, 0.2, 0.2]
    assert "who sent 20.0% of a round's messages and had 35.0% of the gradient" in drawn.caption


def test_without_attackers_there_is_no_figure_of_shares(tmp_path: Path) -> None:
    make_run(tmp_path, rounds=4)
    assert "shares_over_rounds" not in [each.name for each in draw(open_study(tmp_path))]


def test_a_sweep_has_a_line_of_shares_for_each_of_its_points(tmp_path: Path) -> None:
    make_sweep(tmp_path, epsilons=(0.5, 2.0))
    for epsilon, seed in itertools.product((0.5, 2.0), range(3)):
        folder = tmp_path / "runs" / f"made-up-{epsilon:g}-s{seed}"
        make_run(folder, epsilon=epsilon, seed=seed, attack_from=2, captured=epsilon / 4)
    (drawn,) = (each for each in draw(open_study(tmp_path)) if each.name == "shares_over_rounds")
    lines = [line for line in drawn.figure.axes[0].lines if len(line.get_xdata()) == 12]
    ends = {line.get_label(): line.get_ydata()[-1] for line in lines}
    assert ends == {"ε = 0.5": 0.125, "ε = 2": 0.5}


def test_the_page_is_whole_by_itself_and_runs_nothing(run_folder: Path) -> None:
    report([run_folder], figures=(), tables=())
    text = (run_folder / "report.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert not tags.open
    assert not {"script", "link", "iframe", "object"} & set(tags.tags)
    addresses = [*tags.addresses, *re.findall(r"url\(([^)]*)\)", text)]
    assert addresses
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)
    assert "prefers-color-scheme: dark" in text


def test_the_page_answers_before_it_asks(run_folder: Path) -> None:
    report([run_folder], figures=(), tables=())
    text = (run_folder / "report.html").read_text()
    first = re.search(r"<h1>[^<]*</h1>\s*<p class=\"finding\">([^<]*)</p>", text)
    assert first is not None
    assert first[1] == html.escape(finding_of(open_study(run_folder)), quote=True)
    assert first.end() < text.index("A made-up run")
    for fact in ("<dt>seed</dt><dd>0</dd>", "<dt>network</dt>"):
        assert first.end() < text.index(fact) < text.index("<h2>Outcome</h2>")


def test_text_in_the_figures_of_a_page_can_be_selected_and_takes_its_ink(run_folder: Path) -> None:
    report([run_folder], figures=(), tables=())
    text = (run_folder / "report.html").read_text()
    svgs = re.findall(r"<svg .*?</svg>", text, re.DOTALL)
    assert len(svgs) == len(draw(open_study(run_folder)))
    assert ">round</text>" in svgs[0]
    assert "#000000" not in text[text.index("</style>") :]
    assert not re.search(r"fill: #ffffff|background", "".join(svgs))
    assert "text{fill: currentColor}" in svgs[0]
    names = re.findall(r' id="([^"]*)"', "".join(svgs))
    assert len(names) == len(set(names))
    uses = re.findall(r'(?:url\(#|href="#)([^")]*)', "".join(svgs))
    assert set(uses) <= set(names)


def test_a_figure_alone_is_black_on_white_paper(run_folder: Path) -> None:
    svg = render(draw(open_study(run_folder))[0], "svg")
    assert b'<svg style="background: white; color: black"' in svg


def test_figures_are_kept_whole_in_print_and_stand_side_by_side(run_folder: Path) -> None:
    report([run_folder], figures=(), tables=())
    text = (run_folder / "report.html").read_text()
    assert re.search(r"figure \{[^}]*break-inside: avoid", text)
    printed = text[text.index("@media print") :]
    assert re.search(r"\.figures \{ grid-template-columns: 1fr 1fr", printed)


def _labels(drawing: style.Drawing) -> list[str]:
    return [text.get_text() for text in drawing.figure.legends[0].get_texts()]


def _drawn(folder: Path, name: str) -> style.Drawing:
    (drawing,) = (each for each in draw(open_study(folder)) if each.name == name)
    return drawing


def test_a_used_attacker_has_another_colour_than_an_honest_holder_that_is_left_out(
    tmp_path: Path,
) -> None:
    for captured in (0.0, 0.4):
        folder = tmp_path / str(captured)
        make_run(folder, attack_from=3, captured=captured)
        fate = "used" if captured else "left out"
        labels = _labels(_drawn(folder, "used_and_left_out"))
        assert labels == ["honest, used", "honest, left out", f"attacker, {fate}", "attack"]
    colours = dict(FILLS)
    alarming, calm = colours["attacker, used"], colours["honest, left out"]
    assert alarming[:3] != calm[:3]
    assert (alarming[3], calm[3]) == (1.0, FAINT)


def test_short_stages_share_one_colour_and_every_colour_says_its_share(tmp_path: Path) -> None:
    make_run(tmp_path)
    labels = _labels(_drawn(tmp_path, "time_per_round"))
    assert labels == ["gradients 22%", "noise 19%", "signing 17%", "network 14%", "4 others 28%"]
    assert len(style.STAGE_COLOURS) == len(set(style.STAGE_COLOURS)) == len(labels)


@pytest.mark.parametrize(("baseline", "drawn"), [(0.1, True), (-0.5, False), (3.0, False)])
def test_the_axis_fits_the_curve_and_a_far_baseline_is_an_arrow(
    tmp_path: Path, baseline: float, drawn: bool
) -> None:
    make_run(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["baselines"] = {"majority": {"accuracy": baseline}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (ax,) = _drawn(tmp_path, "accuracy_over_rounds").figure.axes
    low, high = ax.get_ylim()
    assert (low <= baseline <= high) == drawn
    texts = [text.get_text() for text in ax.texts]
    arrow = f"majority (no learning) {three_digits(baseline)} {'↓' if baseline < 1 else '↑'}"
    assert texts == ([] if drawn else [arrow])


def test_masks_have_a_heading_on_each_column_and_their_colours_a_meaning(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "samples").mkdir()
    rows = np.random.default_rng(0).random((4, 8, 8)) > 0.5
    picture = draw_panels(np.full((2, 8, 8), 0.5), rows[0], rows[1], rows[2])
    for number in range(2):
        Image.fromarray(picture).save(tmp_path / "samples" / f"scan-00{number}.png")
    drawing = _drawn(tmp_path, "samples")
    heads = [text.get_text() for ax in drawing.figure.axes for text in ax.texts]
    assert heads == ["intensity", "depth", "truth", "model", "errors"]
    assert _labels(drawing) == [*ERRORS]
    panels = [ax.images[0].get_array().shape[:2] for ax in drawing.figure.axes]
    assert panels == [(192, 192)] * 10  # without the white gaps


def test_noise_stands_beside_what_the_data_add(tmp_path: Path) -> None:
    make_run(tmp_path, rounds=4, holders=2, attack_from=1)
    names = [drawing.name for drawing in draw(open_study(tmp_path))]
    assert "noise_and_signal" not in names  # nothing is known of the noise
    privacy = json.loads((tmp_path / "privacy.json").read_text())
    noise = [0.18, 9.0]  # the last one attacks
    (tmp_path / "privacy.json").write_text(json.dumps({**privacy, "noise_norm": noise}))
    drawing = _drawn(tmp_path, "noise_and_signal")
    noisy, signal, whole = (patch.get_data().values for patch in drawing.figure.axes[0].patches)
    assert noisy.tolist() == [0.18] * 4
    assert whole.tolist() == [0.3] * 4  # of made-up messages
    assert signal.tolist() == pytest.approx([0.24] * 4)
    assert "noise is 0.60 of a message's norm" in drawing.caption


def test_the_page_says_what_was_asked_and_what_came_out(run_folder: Path) -> None:
    report([run_folder], figures=(), tables=())
    text = (run_folder / "report.html").read_text()
    manifest = json.loads((run_folder / "manifest.json").read_text())
    for words in (
        "Each row is &lt;private&gt;.",
        "delta is large",
        manifest["head"],
        "sign_flip by holders 5 from round 6",
        "majority (no learning)",
        "Attacks made 7 of them, and the rule used 0 of those.",
        "attackers had 0.0% of the global gradient on average; in 0% of them they had at least",
        f"fedchain verify {run_folder.name}",
        "A made-up run &lt;with&gt; odd &amp; characters.",
    ):
        assert words in text, words


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ({"holders": [1, 3]}, "sign_flip by holders 1, 3 from round 2"),
        (
            {"holders": None, "share": 0.2},
            "by a share of 0.2 of the holders (drawn by the seed) from",
        ),
        ({"holders": None, "count": 3}, "sign_flip by 3 holders (drawn by the seed) from round 2"),
        ({"nodes": [0], "to_round": 5}, "sign_flip by compute nodes 0 from round 2 to 5"),
        ({"holders": [1], "knowledge": "heard"}, "holders 1, knowledge heard, from round 2"),
        ({"holders": [1], "names": 4}, "holders 1 under 4 names each from round 2"),
    ],
)
def test_the_page_says_who_attacks_however_the_scenario_names_them(
    who: dict[str, Any], words: str
) -> None:
    assert words in attack_words({"kind": "sign_flip", "from_round": 2, **who})


def test_the_page_of_a_sweep_names_the_points_without_a_result(sweep_folder: Path) -> None:
    report([sweep_folder], figures=(), tables=())
    text = (sweep_folder / "report.html").read_text()
    assert "<code>made-up-8-s0</code>: failed: no &lt;memory&gt;" in text
    assert "epsilon varied" in text


def test_the_files_are_those_asked_for(sweep_folder: Path, tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    page = tmp_path / "both.html"
    written = report([sweep_folder, tmp_path / "run"], ("png",), ("md",), page)
    assert {file.suffix for file in written} == {".png", ".md", ".html"}
    assert all(file.is_file() for file in written)
    assert written[-1] == page
    assert not (tmp_path / "run" / "report.html").exists()
    assert page.read_text().count("<h1>") == 2


def test_a_folder_that_is_neither_run_nor_sweep_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    make_run(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"neither a manifest\.json nor a sweep\.json; a run folder"):
        report([tmp_path / "run", tmp_path / "empty"])
    with pytest.raises(RunError, match="does not exist"):
        report([tmp_path / "nowhere"])
    assert not (tmp_path / "run" / "figures").exists()


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no files of kind 'gif'; allowed: pdf, svg, png"):
        report([tmp_path], figures=("gif",))


def test_a_point_that_leads_out_of_the_sweep_folder_is_refused(tmp_path: Path) -> None:
    make_sweep(tmp_path)
    text = (tmp_path / "points.csv").read_text().replace("made-up-0.5-s0", "../made-up-0.5-s0")
    (tmp_path / "points.csv").write_text(text)
    with pytest.raises(RunError, match="a damaged row"):
        open_study(tmp_path)


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "samples").mkdir()
    Image.new("1", (3000, 2000)).save(tmp_path / "samples" / "large.png")
    with pytest.raises(RunError, match="more than 4000000 pixels, got 3000 x 2000"):
        report([tmp_path])


def test_a_picture_that_is_none_is_named(tmp_path: Path) -> None:
    make_run(tmp_path)
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    with pytest.raises(RunError, match=r"torn\.png: not a picture"):
        report([tmp_path])
