"""The documentation's site: its references name everything, and its links lead somewhere."""

import inspect
import re
import typing
from pathlib import Path

import docs_pages
import pytest
from docs_reference import PACKAGE, api_page, command_page, family_pages, scenario_page
from docs_text import prose, table

from fedchain.aggregation import krum
from fedchain.commands import assemble
from fedchain.registry import FAMILIES, parameters, references, section_of, sources_of
from fedchain.scenario import Scenario, shipped_files

LINK = re.compile(r"\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    out = tmp_path_factory.mktemp("pages")
    return out, docs_pages.stage(out)


def commands(words: str, command: typing.Any) -> typing.Iterator[tuple[str, typing.Any]]:
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(f"{words} {name}", inner)


def test_the_reference_of_commands_names_every_command_and_option():
    page = command_page()
    sections = dict(re.findall(r"^### `([^`]*)`\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE))
    every = dict(commands("fedchain", assemble()))
    del every["fedchain"]
    assert sections.keys() == every.keys()
    for words, command in every.items():
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                assert f"| `{parameter.metavar}` |" in sections[words], words
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert option[0] != "-" or f"`{option}`" in sections[words], (words, option)
        assert command.epilog.removeprefix("Example: ") in sections[words], words


def keys_of(section: type, path: str = "") -> typing.Iterator[str]:
    for name, parameter in parameters(section).items():
        inner = section_of(parameter.annotation)
        yield f"{path}{name}"
        if inner is not None:
            yield from keys_of(inner, f"{path}{name}.")


def test_the_reference_of_scenarios_names_every_key():
    named = set(re.findall(r"^\| `([\w.]+)` \|", scenario_page(), re.MULTILINE))
    assert set(keys_of(Scenario)) - {"source", "layers"} <= named


def test_every_part_has_its_parameters_and_its_sources_on_the_page_of_its_family():
    pages = family_pages()
    assert {f"{name}.md" for name in FAMILIES} == pages.keys()
    for name, address in FAMILIES.items():
        family = address.family()
        for kind in family.names():
            (section,) = re.findall(
                rf"^## `{kind}`\n(.*?)(?=^## `|\Z)", pages[f"{name}.md"], re.DOTALL | re.MULTILINE
            )
            maker = family.find(kind)
            assert all(f"\n| {each} |" in section for each in parameters(maker)), kind
            titles = [references()[key].text for key in sources_of(maker) or ()]
            assert section.count("\nCite: ") == len(titles), kind


def test_the_api_has_every_public_function_and_class_with_its_docstring():
    page = api_page(PACKAGE / "aggregation")
    assert "### krum {#fedchain.aggregation.krum.krum}" in page
    assert inspect.getdoc(krum).partition("\n")[0] in page
    assert "_chosen" not in page


def test_every_page_is_in_the_menu_and_every_link_leads_to_a_file(staged):
    out, menu = staged
    pages = {str(page.relative_to(out)) for page in out.rglob("*.md")}
    assert sorted(page for names in menu.values() for page in names) == sorted(pages)
    assert {f"scenarios/{name}.md" for name in shipped_files()} <= pages
    broken = {
        (page, target)
        for page in pages
        for block in (out / page).read_text("utf-8").split("```")[::2]
        for target in LINK.findall(re.sub(r"`[^`\n]*`", "", block))
        if not ((out / page).parent / target).exists()
    }
    assert broken == set()


def test_lessons_stand_in_the_site(staged):
    out, _ = staged
    (shown,) = re.findall(r'<iframe src="([^"]*)"', (out / "lessons.md").read_text("utf-8"))
    assert (out / shown).is_file()


def test_a_link_to_code_leads_to_its_documentation(tmp_path):
    told = docs_pages.relinked(
        "[krum](../fedchain/aggregation/krum.py), [all](manual.md#names)\n```\n[x](y.md)\n```",
        docs_pages.ROOT / "docs" / "method.md",
        tmp_path,
    )
    assert "[krum](api/fedchain.aggregation.md#fedchain.aggregation.krum)" in told
    assert "[all](manual.md#names)" in told
    assert "[x](y.md)" in told


def test_a_link_to_a_file_that_is_not_there_is_refused_with_its_page(tmp_path):
    source = docs_pages.ROOT / "docs" / "method.md"
    with pytest.raises(FileNotFoundError, match=r"docs/method\.md: links to gone\.md"):
        docs_pages.relinked("[x](gone.md)", source, tmp_path)


def test_what_stands_in_a_docstring_is_no_markup_and_no_table():
    assert prose("An <object> of *args.") == r"An &lt;object> of \*args."
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.long
def test_the_site_is_built_without_a_warning_and_asks_nothing_of_other_machines(tmp_path):
    pytest.importorskip("mkdocs")
    from docs_site import build

    build(tmp_path)
    for file in tmp_path.rglob("*.html"):
        text = re.sub(r"<script[^>]*>.*?</script>", "", file.read_text("utf-8"), flags=re.DOTALL)
        loaded = re.findall(r'<(?:link|img|script|iframe)[^>]*(?:href|src)="(https?:[^"]*)"', text)
        assert loaded == [], file
    for file in tmp_path.rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:", file.read_text("utf-8")), file
