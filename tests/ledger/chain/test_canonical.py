from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.errors import EncodingError
from fedchain.ledger.chain.canonical import canonical_text, read_canonical

NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}
"""RFC 8785, Appendix B: the bytes of a float64, and how ECMAScript prints it."""
SAMPLE = (
    '{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
    r' "string": "\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/",'
    ' "literals": [null, true, false]}'
)
SAMPLE_TEXT = (
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
    '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
)
"""RFC 8785, section 3.2.2 and 3.2.4: an object, and its canonical text."""
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("bits", NUMBERS)
def test_numbers_are_printed_as_the_standard_says(bits):
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_text(value) == NUMBERS[bits]
    assert read_canonical(NUMBERS[bits].encode(), "it") == value


def test_the_example_of_the_standard_has_its_text():
    assert canonical_text(json.loads(SAMPLE)) == SAMPLE_TEXT


def test_keys_are_sorted_by_the_units_of_utf_16():
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    text = canonical_text(dict.fromkeys(names, 0))
    assert list(json.loads(text)) == ["\r", "1", "\x80", "ö", "€", "😀", "\ufb33"]


@settings(max_examples=300, derandomize=True, deadline=None)
@given(PLAIN)
def test_a_value_is_read_back_from_its_text_and_no_other_library_reads_another(value):
    text = canonical_text(value)
    assert json.loads(text, parse_int=float) == value == read_canonical(text.encode(), "it")


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(max_size=30) | st.sampled_from([SAMPLE, SAMPLE_TEXT[:-1], "1e5", "[1, 2]"]))
def test_a_text_is_refused_or_is_the_only_one_of_its_value(text):
    try:
        value = read_canonical(text.encode(), "it")
    except EncodingError:
        return
    assert canonical_text(value) == text


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}', '{"b":1,"a":2}', '{"a":1,"a":1}', "1.0", "1e5", "-0", "01", "+1", "0.10",
        "9007199254740993", "100000000000000000001", "1e400", "NaN", "Infinity", '"\\u0041"',
        '"\\/"', '"\\u000A"', '"\\ud800"', "[1,]", " 1", "1 ", "", '"a', "[1]x", "\ufeff1",
        '{"a":1,}', "{a:1}", "'a'", "nul", "9" * 5000, "[" * 33 + "]" * 33, "[" * 10**6,
    ],
)  # fmt: skip
def test_other_spellings_are_refused_in_one_line(text):
    with pytest.raises(EncodingError, match="it: ") as refused:
        read_canonical(text.encode(), "it")
    assert "\n" not in str(refused.value)


def test_bytes_that_are_no_utf_8_are_refused():
    with pytest.raises(EncodingError, match="it: is no JSON in UTF-8"):
        read_canonical(b'"\xff"', "it")


@pytest.mark.parametrize(
    "value", [math.nan, 2**53 + 1, -(2**53) - 1, "\ud800", {"\ud800": 1}, {1: 2}, b"a", {1, 2}]
)
def test_what_json_cannot_say_has_no_text(value):
    with pytest.raises(EncodingError):
        canonical_text([value])


def test_an_infinite_number_is_a_word():
    assert canonical_text([math.inf, -math.inf]) == '["inf","-inf"]'


def test_levels_are_bounded():
    value: object = 1
    for _ in range(31):
        value = [value]
    assert read_canonical(canonical_text(value).encode(), "it") == value
    with pytest.raises(EncodingError, match="nested too deeply; at most 32"):
        canonical_text([value])
