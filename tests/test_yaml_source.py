"""YAML text to data, lines, variables and mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ConfigError
from sidecar.yaml_source import MAX_BYTES, MAX_DEPTH, MAX_VALUES, Source, dotted, quickly_composed, read, read_text


def source(text: str, **environ: str) -> Source:
    return read(text, name="f.yaml", environ=environ)


def data(text: str, **environ: str) -> Any:
    return source(text, **environ).data


def mistakes(text: str, **environ: str) -> list[str]:
    """What is wrong with the text, whether it could be read on or not."""
    try:
        return [str(mistake) for mistake in source(text, **environ).mistakes.values()]
    except ConfigError as error:
        return [str(mistake) for mistake in error.mistakes]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("12", 12),
        ("-7", -7),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 17),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("'12'", "12"),
        ('"true"', "true"),
        ("off", "off"),
        ("yes", "yes"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("=", "="),
        ("9" * 19, "9" * 19),
        ("-" + "9" * 19, "-" + "9" * 19),
        ("9" * 5000, "9" * 5000),
        ("|\n  a", "a"),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    """`off` and `1:30` are text, unlike in YAML 1.1; whole numbers without end stay text."""
    found = data(f"a: {text}")["a"]
    assert (type(found), found) == (type(value), value)


def test_infinite_and_undefined_numbers_are_floats() -> None:
    """They are for the tree to refuse, as every number out of bounds."""
    assert data("a: [.inf, -.inf]")["a"] == [float("inf"), float("-inf")]
    assert str(data("a: .nan")["a"]) == "nan"


def test_every_value_knows_its_line() -> None:
    """Lines count from 1 and are those of the key; a place without its own has the line around it."""
    read_source = source("a: 1\n\nb:\n  - x: 2\n    y:\n      z: 3\n")
    ways: list[tuple[str | int, ...]] = [("a",), ("b",), ("b", 0), ("b", 0, "x"), ("b", 0, "y", "z"), ("b", 0, "nope")]
    assert [read_source.line(way) for way in ways] == [1, 3, 4, 4, 6, 4]
    assert read_source.where(("b", 0, "y", "z")) == "f.yaml:6 b[0].y.z"


def test_a_key_that_is_not_plain_is_quoted_in_its_way() -> None:
    """Else a key `a.b` could pretend to be the key b of a."""
    assert dotted(("a.b", 0, "c")) == "'a.b'[0].c"


def test_variables_are_filled_in_and_typed_again() -> None:
    """A plain scalar has the type of what was filled in; a quoted one stays text."""
    text = 'a: ${PORT}\nb: "${PORT}"\nc: ${HOST:-localhost}:${PORT}\nd: ${EMPTY:-5s}\ne: ${ON}\nf: ${UNSET:-}'
    assert data(text, PORT="80", EMPTY="", ON="true") == {
        "a": 80,
        "b": "80",
        "c": "localhost:80",
        "d": "5s",
        "e": True,
        "f": None,
    }


def test_a_variable_cannot_add_structure() -> None:
    """Its value is one scalar, whatever stands in it; what it names is not expanded again."""
    assert data("a: ${X}", X="1\nb: 2")["a"] == "1\nb: 2"
    assert data("a: ${X}", X="[1, {b: 2}]")["a"] == "[1, {b: 2}]"
    assert data("a: ${X}", X="${Y}", Y="no")["a"] == "${Y}"


def test_two_dollar_signs_are_one() -> None:
    """A JSONPath's `$` needs no escape; a literal `${` does."""
    assert data("a: $${X} $$ $.b $")["a"] == "${X} $ $.b $"


def test_keys_are_never_filled_in() -> None:
    """A variable is a value."""
    assert data("${X}: 1", X="a") == {"${X}": 1}


def test_what_stood_in_the_file_is_kept_for_messages() -> None:
    """A message shows the template, because the variable may hold a secret."""
    found = source("a: redis://:${PASSWORD}@h", PASSWORD="hunter2")
    assert found.templates == {("a",): "redis://:${PASSWORD}@h"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: ${NOPE}", "f.yaml:1 a: found ${NOPE}, which is not set"),
        ("\na: ${", "f.yaml:2 a: found `${`"),
        ("a: ${1X}", "f.yaml:1 a: found `${1X}`"),
        ("a: ${X-1}", "f.yaml:1 a: found `${X-1}`"),
        ("a: ${}", "f.yaml:1 a: found `${}`"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3 a: found the key again (first on line 1)"),
        ("{a: 1, a: 2}", "f.yaml:1 a: found the key again (first on line 1)"),
        ("b:\n  c: 1\n  c: 2", "f.yaml:3 b.c: found the key again (first on line 2)"),
        ("? [a]\n: 1", "f.yaml:1 '?': found a key that is a list or a mapping"),
        ("a: [1", "f.yaml:1: found a YAML error"),
        ("a:\n\t- b", "f.yaml:2: found a YAML error: found character '\\t'"),
        ("a: b: c", "f.yaml:1: found a YAML error: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2", "f.yaml:2: found a YAML error: but found another document"),
        ("a: *nope", "f.yaml:1: found a YAML error: found undefined alias 'nope'"),
        ("a: !!python/object:os.system x", "f.yaml:1: found a YAML error: the tag tag:yaml.org,2002:python"),
        ("a: !!str 5", "f.yaml:1: found a YAML error: the tag"),
        ("!!set {a, b}", "f.yaml:1: found a YAML error: the tag"),
        ("", "f.yaml:1: found an empty file"),
        ("# only a comment\n", "f.yaml:1: found an empty file"),
        ("a: \x01", "f.yaml: found a character at position 3"),
        ("&a [*a]", "f.yaml:1: found aliases that unfold without end"),
        ("b:\n  <<: 5", "f.yaml:2 b.'<<': found a merge of something else"),
        ("[" * (MAX_DEPTH + 1), "f.yaml:1: found a YAML error: more than 64 levels"),
        ("[" * 100_000, "f.yaml:1: found a YAML error: more than 64 levels"),
        ("a" * (MAX_BYTES + 1), "f.yaml: found 1048577 characters"),
    ],
)
def test_what_cannot_be_read_is_a_mistake_with_its_line(text: str, message: str) -> None:
    """One mistake, and it begins as promised."""
    (found,) = mistakes(text)
    assert found.startswith(message)


def test_a_variable_in_braces_without_quotes_is_explained() -> None:
    """YAML reads its brace as structure, which is hard to guess from YAML's own complaint."""
    assert "a ${VARIABLE} needs quotes" in mistakes("a: {b: ${X}}")[0]
    assert "needs quotes" not in mistakes("x: ${X}\na: {b: {")[0]
    assert data("a: {b: '${X}'}", X="5") == {"a": {"b": "5"}}


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"])
def test_a_mistake_in_any_kind_of_lines_is_told(line_break: str) -> None:
    """YAML ends lines with more than a line feed, and the line that is looked at for a hint must exist."""
    (found,) = mistakes(f"a: 1{line_break}b: {{c: ${{X}}}}{line_break}")
    assert found.startswith("f.yaml:2: found a YAML error")
    assert "needs quotes" in found


def test_without_an_environment_a_dollar_sign_is_only_a_character() -> None:
    """Patterns and paths are full of them, and what looks like a variable is one of somebody else's."""
    found = read("a: ${NOPE}\nb: $$\nc: [$.b, '${']", name="f.yaml", environ=None)
    assert found.data == {"a": "${NOPE}", "b": "$$", "c": ["$.b", "${"]}
    assert not found.mistakes
    assert not found.templates


ALIKE = [
    "a: 1\nb:\n  - x\n  - {c: [d, 'e', \"f\", ~]}\n",
    "a: &x {b: 1}\nc: *x\nd: {<<: *x, e: |\n  text\n  more\n}",
    "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: |\n    text\n  f: >-\n    more\n    text\n",
    "# comment\n---\na: é\r\nb: 😀\r\nc:",
    "- 1\n-\n- ''\n- off\n- 0x1F\n- 1e3",
    "a: !!str 5",
    "a: ! 5",
    "a: 1\na: 2",
    "a: [1",
    "a: 1\tb",
    "a: 1\n\ufeffb: 2",
    "[" * (MAX_DEPTH + 1),
    "",
    "---",
]


@pytest.mark.parametrize("text", ALIKE)
def test_both_parsers_read_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """libyaml is for speed only: values, lines and mistakes are those of PyYAML's own parser."""
    assert yaml.__with_libyaml__
    quick = everything(text)
    monkeypatch.setattr("yaml.__with_libyaml__", False)
    assert everything(text) == quick


def everything(text: str) -> tuple[Any, ...]:
    try:
        found = source(text)
    except ConfigError as error:
        return error.mistakes
    return found.data, found.lines, found.mistakes


def test_a_large_file_is_read_quickly() -> None:
    """A megabyte of list takes 0.3 s by libyaml and 1.7 s without it, so it must be libyaml that reads it."""
    text = "a:\n" + "".join(f"  - value-number-{number:06d}-of-many-values-that-fill-it\n" for number in range(19_500))
    node = quickly_composed(text)
    assert node is not None
    assert len(data(text)["a"]) == 19_500


def test_mistakes_that_can_be_read_past_are_told_together() -> None:
    """An unset variable does not hide a doubled key."""
    assert len(mistakes("a: ${NOPE}\nb: 1\nb: 2\nc: ${1}")) == 3


def test_nesting_is_read_up_to_its_limit() -> None:
    """The deepest allowed document is read, one level more is not."""
    assert data("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert mistakes("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def test_aliases_that_multiply_are_stopped() -> None:
    """Nine lists of nine aliases would be more than 300 million values (the `billion laughs`)."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    (found,) = mistakes("\n".join(lines))
    assert f"allowed: {MAX_VALUES} values" in found


def test_an_alias_repeats_its_value() -> None:
    """Ordinary aliases work."""
    assert data("a: &x {k: 1}\nb: *x") == {"a": {"k": 1}, "b": {"k": 1}}


def test_merged_keys_are_defaults() -> None:
    """What a mapping says itself wins, wherever the merge stands; of several merged ones the earlier wins."""
    text = "x: &x {a: 1, b: 1}\ny: &y {a: 2, c: 2}\nz: {b: 3, <<: [*x, *y]}\nw:\n  <<: *x\n  a: 9"
    found = source(text)
    assert found.data["z"] == {"a": 1, "b": 3, "c": 2}
    assert found.data["w"] == {"a": 9, "b": 1}
    assert not found.mistakes


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    """Windows editors write one."""
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_text(path) == "a: 1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: \xff", "/f.yaml:2: found the byte 0xff, which is not UTF-8"),
        (b"a" * (MAX_BYTES + 1), "/f.yaml: found more than 1048576 bytes"),
    ],
)
def test_a_file_that_is_no_text_is_a_mistake(tmp_path: Path, content: bytes, message: str) -> None:
    """With the line of the first bad byte, and the path as it was given."""
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{tmp_path}{message}"):
        read_text(path)


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    """With its whole path, since the operator may be in another folder than they think."""
    for path, why in [(tmp_path / "nope.yaml", "No such file"), (tmp_path, "Is a directory")]:
        with pytest.raises(ConfigError, match=f"{path}: found {why}"):
            read_text(path)


@given(st.text(max_size=200))
def test_no_text_crashes_the_reader(text: str) -> None:
    """Whatever stands in the file, the answer is data or a ConfigError."""
    try:
        assert isinstance(source(text), Source)
    except ConfigError as error:
        assert error.mistakes
