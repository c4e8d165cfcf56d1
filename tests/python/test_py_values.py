"""Values cross between Python and Lua, keep their kind and shape, or are refused by name."""

from __future__ import annotations

import collections
import enum
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pylua_bioxen_vm import VM, ConversionError
from waiting import SLOW

INTEGERS = st.integers(-2**63, 2**63 - 1)
TEXTS = st.text(st.characters(blacklist_categories=("Cs",)))
# Bytes that are valid UTF-8 come back as text: only others keep their type.
BINARY = st.binary().map(lambda b: b"\xff" + b)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
SCALARS = st.one_of(st.booleans(), INTEGERS, FLOATS, TEXTS, BINARY)
KEYS = st.one_of(INTEGERS.filter(lambda k: k not in (0, 1)), TEXTS, BINARY, st.booleans(),
                 st.floats(allow_nan=False).filter(lambda k: k != math.floor(k) if math.isfinite(k) else True))


def is_sequence(dictionary: dict) -> bool:
    """In Lua it is a list then."""
    return all(type(k) is int for k in dictionary) and set(dictionary) == set(range(1, len(dictionary) + 1))


VALUES = st.recursive(SCALARS, lambda inner: st.one_of(
    st.lists(inner, min_size=1, max_size=6),
    st.dictionaries(KEYS, inner, max_size=6).filter(lambda d: not d or not is_sequence(d))), max_leaves=25)

PROPERTY = settings(deadline=None, max_examples=100, database=None, suppress_health_check=list(HealthCheck))


def same(left: object, right: object) -> bool:
    """Equal, with equal types, NaN and the sign of zero included."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        assert isinstance(right, float)
        return (math.isnan(left) and math.isnan(right)) or (left == right and math.copysign(1, left) == math.copysign(1, right))
    if isinstance(left, (list, tuple)):
        assert isinstance(right, (list, tuple))
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        assert isinstance(right, dict)
        kinds = {(type(k), k) for k in left} == {(type(k), k) for k in right}
        return kinds and all(same(left[k], right[k]) for k in left)
    return left == right


@PROPERTY
@given(VALUES)
def test_round_trip(shared: VM, value: object) -> None:
    assert same(shared.execute("return ...", value), value)


@PROPERTY
@given(st.lists(VALUES, min_size=2, max_size=5))
def test_several(shared: VM, values: list) -> None:
    assert same(shared.execute("return ...", *values), tuple(values))


@PROPERTY
@given(st.binary())
def test_any_bytes(shared: VM, data: bytes) -> None:
    back = shared.execute("local s = ... return s, #s, s:reverse():reverse() == s", data)
    assert back[1:] == (len(data), True)
    assert back[0] == data or back[0].encode() == data


@PROPERTY
@given(st.text())
def test_text_or_refusal(shared: VM, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(ConversionError, match="argument 1.*surrogate"):
            shared.execute("return ...", text)
    else:
        assert shared.execute("return ...", text) == text


@pytest.mark.parametrize("value", [2**63 - 1, -2**63, 0, -0.0, 0.0, math.inf, -math.inf, math.nan, 5e-324, 1e308, 1.0,
                                   "", "\0", "a\0b", "ä€😀", b"\xff", b"\x00\xff", True, False, None, "x" * 70000,
                                   2**53 + 1, -1, 127, 128, 255, 256, 65535, 65536, 2**31, 2**32, -129, -32769])
def test_edges(shared: VM, value: object) -> None:
    assert same(shared.execute("return ...", value), value)


def test_kinds_in_lua(shared: VM) -> None:
    assert shared.execute("local out = {} for i, v in ipairs{...} do out[i] = math.type(v) or type(v) end return out",
                          1, 1.0, "s", b"b", True, [1], {"a": 1}, bytearray(b"x"), memoryview(b"y"), (1,)) == \
        ["integer", "float", "string", "string", "boolean", "table", "table", "string", "string", "table"]


def test_results(shared: VM) -> None:
    assert shared.execute("") is None
    assert shared.execute("return nil") is None
    assert shared.execute("return 1") == 1
    assert shared.execute("return 1, 2") == (1, 2)
    assert shared.execute("return nil, nil") == (None, None)
    assert shared.execute("return table.unpack({}, 1, 200)") == (None,) * 200


def test_subclasses_are_their_base(shared: VM) -> None:
    class Colour(enum.IntEnum):
        RED = 3

    class Text(str):
        pass

    Point = collections.namedtuple("Point", "x y")
    back = shared.execute("return ...", Colour.RED, Text("t"), Point(1, 2), collections.OrderedDict(a=1))
    assert same(back, (3, "t", [1, 2], {"a": 1}))


def test_lists_and_dicts(shared: VM) -> None:
    assert shared.execute("return {}") == {}
    assert shared.execute("return {1, 2, 3}") == [1, 2, 3]
    assert shared.execute("return {[1] = 1, [3] = 3}") == {1: 1, 3: 3}
    assert shared.execute("return {10, 20, x = 1}") == {1: 10, 2: 20, "x": 1}
    assert shared.execute("return ...", []) == {}
    assert shared.execute("return #(...)", [1, 2, 3]) == 3
    assert shared.execute("return (...)[1]", ["first"]) == "first"


def test_none_is_nil(shared: VM) -> None:
    assert shared.execute("return select('#', ...), ...", None, None) == (2, None, None)
    assert shared.execute("return ...", {"a": None, "b": 1}) == {"b": 1}
    assert shared.execute("return ...", [1, None, 3]) == {1: 1, 3: 3}


def test_shared_stays_shared(shared: VM) -> None:
    one = [1]
    back = shared.execute("local t = ... t[1][1] = 'seen' return t", [one, one, {"one": one}])
    assert back[0] is back[1] is back[2]["one"]
    assert back[0] == ["seen"]
    left, right = shared.execute("local t = {1} return t, t")
    assert left is right


def test_shared_between_arguments(shared: VM) -> None:
    one: dict = {"a": 1}
    assert shared.execute("local a, b = ... return rawequal(a, b)", one, one) is True
    assert shared.execute("local a, b = ... return rawequal(a, b)", {"a": 1}, {"a": 1}) is False


def test_cycles(shared: VM) -> None:
    ring: list = []
    ring.append(ring)
    back = shared.execute("return ...", ring)
    assert back[0] is back
    loop: dict = {}
    loop["list"] = [loop]
    back = shared.execute("return ...", loop)
    assert back["list"][0] is back
    back = shared.execute("local a, b = {}, {} a.b, b.a = b, a return a")
    assert back["b"]["a"] is back


def test_deep(shared: VM) -> None:
    depth = 200_000
    value: list = [1]
    for _ in range(depth):
        value = [value]
    back = shared.execute("return ...", value, timeout=60 * SLOW)
    levels = 0
    while isinstance(back[0], list):
        back = back[0]
        levels += 1
    assert levels == depth and back == [1]


def test_huge(shared: VM) -> None:
    data = bytes(range(256)) * (4 << 12)
    assert shared.execute("return ...", data) == data
    numbers = list(range(300_000))
    assert shared.execute("return ...", numbers) == numbers
    pairs = {f"k{i}": i for i in range(50_000)}
    assert shared.execute("return ...", pairs) == pairs


@pytest.mark.parametrize("value", [2**63, -2**63 - 1, 10**30])
def test_too_large_int(shared: VM, value: int) -> None:
    with pytest.raises(OverflowError, match=r"argument 1\['a'\]\[1\]: .*64 bits"):
        shared.execute("return ...", {"a": [0, value]})
    with pytest.raises(OverflowError):
        shared.execute("return ...", {value: 1})


class Unknown:
    pass


@pytest.mark.parametrize("value, message", [
    ({1, 2}, "argument 2: set cannot cross"),
    (Unknown(), "argument 2: Unknown cannot cross"),
    (1j, "argument 2: complex cannot cross"),
    (len, "argument 2: builtin_function_or_method cannot cross"),
    ({"k": [0, {1}]}, r"argument 2\['k'\]\[1\]: set cannot cross"),
    ({None: 1}, r"argument 2\[None\]: None cannot be a key"),
    ({math.nan: 1}, r"argument 2\[nan\]: NaN cannot be a key"),
    ({1.0: 1}, r"argument 2\[1.0\]: a float key that is a whole number"),
    ({(1, 2): 1}, r"argument 2\[\(1, 2\)\]: tuple cannot be a key"),
    ({"a": 1, b"a": 2}, r"argument 2\[b'a'\]: this key is there as str and as bytes"),
    ("\ud800", "argument 2: a str with a lone surrogate"),
    ({"\ud800": 1}, "argument 2.*lone surrogate"),
])
def test_what_cannot_cross_into_lua(shared: VM, value: object, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        shared.execute("return ...", 0, value)
    assert shared.execute("return 1") == 1


@pytest.mark.parametrize("code, message", [
    ("return print", "result 1: a function"),
    ("return 1, {a = {2, print}}", r"result 2.*a.*2.*function"),
    ("return coroutine.create(print)", "result 1: a thread"),
    ("return {[{}] = 1}", "result 1.*table"),
    ("return {[1] = 'a', [true] = 'b'}", "result 1: the key .* is there twice"),
    ("return {x = {y = {[0] = 'a', [false] = 'b'}}}", r"result 1\['x'\]\['y'\]: the key .* is there twice"),
    ("return {1, {[1] = 'a', [true] = 'b'}}", r"result 1\[2\]: the key .* is there twice"),
])
def test_what_cannot_cross_into_python(shared: VM, code: str, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        shared.execute(code)
    assert shared.execute("return 1") == 1


def test_float_keys(shared: VM) -> None:
    value = {0.5: "half", -math.inf: "least", 1e300: "large"}
    assert same(shared.execute("return ...", value), value)
    assert shared.execute("return {[2^53] = 1}") == {2**53: 1}


def test_deep_path_is_short(shared: VM) -> None:
    value: object = {1}
    for _ in range(5000):
        value = [value]
    with pytest.raises(ConversionError) as caught:
        shared.execute("return ...", value)
    assert len(str(caught.value)) < 300 and "[...]" in str(caught.value)


def test_nothing_is_spliced(shared: VM) -> None:
    nasty = "]]..os.exit(1)..[[ \" ' \\ \n --"
    assert shared.execute("return ...", nasty) == nasty
    assert shared.execute("return ({...})[1][ [=[a]] b]=] ]", {"a]] b": nasty}) == nasty


def test_larger_than_what_a_request_carries(shared: VM) -> None:
    with pytest.raises(ConversionError, match="64 MiB"):
        shared.execute("return 1", b"x" * (65 << 20))
    with pytest.raises(ConversionError, match="64 MiB"):
        shared.execute("return ('x'):rep(65 << 20)", timeout=60 * SLOW)
    assert shared.execute("return 1") == 1


@PROPERTY
@given(INTEGERS, st.text(max_size=5))
def test_integers_are_exact_in_lua(shared: VM, number: int, text: str) -> None:
    assert shared.execute("return tostring((...))", number) == str(number)
