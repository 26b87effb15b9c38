import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import elsewhere
import kernels
import pytest
from elsewhere import LEFT_OUT, Row, chosen, names, parser, table, usual
from environments import lowest, requirements

HERE = Path(__file__).parent
AMD = kernels.Kernels(
    aten="AVX512",
    onednn="Intel AVX-512",
    mkl="unnamed 850d1e",
    numpy="X86_V3 X86_V4",
    openblas="SkylakeX",
    threads="2",
    own="avx512",
)


def test_a_setting_counts_only_where_the_library_does_what_it_was_asked_for():
    by_name = {setting.name: setting for setting in kernels.processors(AMD)}
    older = replace(AMD, aten="AVX2", numpy="", mkl="AVX2 039621")
    for name in ("as-is", "aten-avx2", "numpy-baseline", "mkl-avx2"):
        assert kernels.missed(by_name[name].wanted, older, AMD) == []
    assert kernels.missed(by_name["aten-default"].wanted, older, AMD) == ["aten is AVX2"]
    assert kernels.missed(by_name["mkl-sse42"].wanted, AMD, AMD) == [
        "mkl computes the same as without it"
    ]
    assert kernels.missed(by_name["onednn-avx2"].wanted, replace(AMD, onednn="none"), AMD) == [
        "there is no onednn"
    ]


def test_the_names_for_numpy_are_those_that_it_knows_here():
    by_name = {setting.name: setting for setting in kernels.processors(AMD)}
    asked = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4"}
    assert by_name["numpy-baseline"].variables == asked
    assert asked.items() <= by_name["lowest"].variables.items()
    assert by_name["lowest"].variables["OMP_NUM_THREADS"] == "1"


def test_every_requirement_has_one_lowest_version():
    exact = [lowest(each) for each in requirements()]
    assert "torch==2.6" in exact
    assert len(exact) == len(set(exact)) > 20


def test_rows_are_chosen_by_name_and_in_order():
    assert chosen(names(), ["clone", "mkl-a*"]) == ["mkl-avx2", "clone"]


def test_each_setting_of_a_library_runs_in_one_of_the_usual_rows():
    joined = [setting for row in kernels.JOINED.values() for setting in row]
    assert sorted([*joined, *usual()]) == sorted(names())
    assert {"as-is", "lowest", "3.11-lowest", "clone"} < set(usual())
    for row in kernels.JOINED.values():
        assert len({setting.partition("-")[0] for setting in row}) == len(row)


def test_the_table_has_columns():
    rows = [Row("a", "passed", 61.2, "3 passed"), Row("long", "not here", 0, "no mkl")]
    assert table(rows) == "a     passed    61 s  3 passed\nlong  not here  0 s   no mkl"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "vax"], "--only vax: no such row"),
        (["--env", "as-is=."], "as-is is no row with versions"),
        (["--env", "3.12-newest=nowhere"], "nowhere/bin/python is missing"),
    ],
)
def test_what_cannot_be_asked_for_is_told(words, said):
    with pytest.raises(ValueError, match=said):
        elsewhere.checked(parser().parse_args(words))


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_there(name):
    assert (HERE / name).exists()


def test_the_list_is_printed_without_running_anything():
    command = [sys.executable, str(HERE / "elsewhere.py"), "--list", "--only", "threads-*"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout == "threads-1\nthreads-2\n"
