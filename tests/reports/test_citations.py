"""What to cite: every part declares its sources, and a run cites exactly what it used."""

import json
import re
import shutil
from pathlib import Path

import pytest
from command_line import call
from made_up import make_run

from fedchain.errors import RunRefused
from fedchain.registry import FAMILIES, references, sources_of
from fedchain.registry.sources import declared_keys
from fedchain.reports.citations import SOFTWARE, TITLE, citations
from fedchain.version import __version__

ROOT = Path(__file__).parents[2]
UNCITED = ("engine", "latency")
"""Families whose parts come from no paper."""


def keys_of(folder: Path) -> set[str]:
    return {each.source.key for each in citations(folder)[0]}


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in UNCITED])
def test_every_part_declares_its_sources_or_that_it_is_fedchains_own(family):
    parts = FAMILIES[family].family()
    assert [kind for kind in parts.names() if sources_of(parts.find(kind)) is None] == []


def test_the_bibliography_has_what_parts_cite_and_nothing_else():
    for address in FAMILIES.values():
        address.family().names()
    assert declared_keys() == set(references())


def test_every_entry_of_the_bibliography_is_read_whole():
    text = (ROOT / "fedchain" / "registry" / "references.bib").read_text(encoding="utf-8")
    assert "\n\n".join(source.bibtex for source in references().values()) + "\n" == text
    assert list(references()) == sorted(references())
    for key, source in references().items():
        assert {"author", "title", "year"} <= set(source.fields), key
        assert source.fields["year"] == re.sub(r"\D", "", key), key
        assert not re.search(r"[{}\\]", source.text), key


def test_a_part_with_a_paper_names_it_in_its_docstring_too():
    silent = [
        f"{name} {kind}"
        for name, address in FAMILIES.items()
        for kind in address.family().names()
        if sources_of(maker := address.family().find(kind))
        and "Reference" not in (maker.__doc__ or "")
    ]
    # The tables of scikit-learn say where they are from in their first lines, and the paper's
    # attack in its own.
    assert silent == ["task breast_cancer", "task digits", "task mnist_5k", "attack norm_inflation"]


def test_a_run_cites_what_it_used_and_nothing_else(tmp_path):
    used = {
        "task": {"kind": "scan_segmentation", "model": {"kind": "unet"}, "loss": {"kind": "focal"}},
        "privacy": {"kind": "gaussian", "accountant": "prv", "clip_quantile": None, "clip": 0.1},
        "aggregation": {"kind": "krum", "first": [{"kind": "nnm"}]},
        "update": {"kind": "adam"},
        "attacks": [{"kind": "alie", "count": 2}, {"kind": "selfish_mining", "nodes": [0]}],
        "ledger": {"work": {"kind": "hashcash"}},
        "network": {"kind": "complete"},
    }
    make_run(tmp_path / "one", **used)
    expected = {
        "fedchain", "chen2018", "ronneberger2015", "lin2017", "balle2018", "gopi2021",
        "blanchard2017", "allouah2023mixing", "kingma2015", "baruch2019", "eyal2014", "back2002",
    }  # fmt: skip
    assert keys_of(tmp_path / "one") == expected
    clipped = {**used, "privacy": {"kind": "gaussian", "accountant": "pld", "clip": "automatic"}}
    nodes = {"holders": 6, "compute": 3, "groups": {"size": 2}, "momentum": {"kind": "ema"}}
    make_run(tmp_path / "two", **clipped, nodes=nodes)
    assert keys_of(tmp_path / "two") ^ expected == {
        "gopi2021", "koskela2020", "bu2023", "bonawitz2017", "karimireddy2021"
    }  # fmt: skip


def test_parts_inside_parts_are_cited_with_what_they_are_used_for(tmp_path):
    inner = {"kind": "average_of", "rules": [{"kind": "median"}, {"kind": "trimmed_mean"}]}
    make_run(tmp_path, aggregation=inner)
    uses = {each.source.key: each.uses for each in citations(tmp_path)[0]}
    assert uses["yin2018"] == ("aggregation median", "aggregation trimmed_mean")
    assert uses["chen2018"] == ("the protocol",)


def test_without_a_run_fedchain_and_its_protocol_are_cited():
    assert [each.source.key for each in citations()[0]] == ["fedchain", "chen2018"]


def test_a_part_of_the_users_own_is_named_and_not_imported(tmp_path):
    make_run(tmp_path, aggregation={"kind": "no_such_module:rule"})
    assert citations(tmp_path)[1] == ["aggregation no_such_module:rule"]


def test_a_part_that_this_version_does_not_have_is_refused_with_the_folder(tmp_path):
    make_run(tmp_path, update={"kind": "adom"})
    with pytest.raises(RunRefused, match=r"no update called 'adom'; did you mean adam"):
        citations(tmp_path)


def test_citation_cff_says_what_the_program_says_of_itself():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f'title: "{TITLE}"' in text
    assert f"\nversion: {__version__}\n" in text
    assert f"version = {{{__version__}}}" in SOFTWARE.bibtex
    paper = references()["chen2018"].fields
    for words in (paper["title"], paper["doi"], *paper["pages"].split("--")):
        assert words in text
    assert "  - name: the fedchain authors" in text


def test_the_command_prints_bibtex_text_or_both_as_json(tmp_path):
    make_run(tmp_path, aggregation={"kind": "krum"}, update={"kind": "my:own"})
    told = call("cite", tmp_path, "--format", "bibtex")
    assert re.findall(r"^@\w+\{(\w+),", told.out, re.MULTILINE)[:2] == ["fedchain", "chen2018"]
    assert references()["blanchard2017"].bibtex in told.out
    assert "update my:own" in told.err
    assert "for aggregation krum" in call("cite", tmp_path).out
    values = json.loads(call("cite", tmp_path, "--format", "json").out)
    assert values["own"] == ["update my:own"]
    assert {"key", "uses", "text", "bibtex"} <= set(values["citations"][0])
    shutil.rmtree(tmp_path)
    assert call("cite", tmp_path).code == 2
