"""Specs: which one an edge has, what its paths select, and what cannot be compiled."""

from __future__ import annotations

import fnmatch
import itertools
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonpath_rfc9535 import JSONPathEnvironment

from sidecar.engine.exchange import Mode
from sidecar.engine.message import Direction
from sidecar.engine.specs import BrokenPath, BrokenSpec, Match, Path, Spec, SpecTable, compile_spec, ties
from sidecar.engine.specs.glob import glob_matches, globs_overlap, specificity
from sidecar.engine.specs.path import library_walk, walker
from sidecar.engine.specs.table import MAX_CACHED_EDGES, MAX_CACHED_NAME


def table(*matches: Match) -> SpecTable:
    return SpecTable(Spec(f"spec-{number}/v1", match) for number, match in enumerate(matches))


def name_of(spec: Spec | None) -> str | None:
    return spec.name if spec else None


@pytest.mark.parametrize(
    ("glob", "name", "is_match"),
    [
        ("writer", "writer", True),
        ("writer", "writers", False),
        ("Writer", "writer", False),
        ("w?iter", "writer", True),
        ("w?iter", "witer", False),
        ("*", "", True),
        ("?", "", False),
        ("w*", "w", True),
        ("*r", "writer", True),
        ("*it*", "writer", True),
        ("*ix*", "writer", False),
        ("w**r", "wr", True),
        ("/a.B/*", "/a.B/C", True),
        ("/*/C", "/a.B/C", True),
        ("[w]riter", "writer", False),
        ("a*b*c", "aXbXbXc", True),
        ("a*b*c", "aXbXbX", False),
    ],
)
def test_globs_know_two_wildcards_only(glob: str, name: str, is_match: bool):
    """`*` crosses dots and slashes, and everything else means itself."""
    assert glob_matches(glob, name) is is_match


GLOBS = st.text("ab*?", max_size=6)
NAMES = ["".join(letters) for length in range(7) for letters in itertools.product("ab", repeat=length)]


@given(GLOBS, st.sampled_from(NAMES))
def test_globs_match_like_the_shell(glob: str, name: str):
    """The standard library's shell patterns are a second opinion on the two wildcards."""
    assert glob_matches(glob, name) == fnmatch.fnmatchcase(name, glob)


@settings(max_examples=200, deadline=None)
@given(st.text("ab*?", max_size=3), st.text("ab*?", max_size=3))
def test_overlap_is_exact(one: str, two: str):
    """Three characters each: if any name matches both, one of six letters at most does."""
    meet = any(glob_matches(one, name) and glob_matches(two, name) for name in NAMES)
    assert globs_overlap(one, two) == globs_overlap(two, one) == meet


@pytest.mark.parametrize("check", [glob_matches, globs_overlap])
def test_hostile_globs_and_names_end_soon(check: Any):
    """Names come from callers: many stars must not multiply."""
    started = time.monotonic()
    check("*a" * 100 + "b", "a" * 8_000 if check is glob_matches else "*a" * 100)
    assert time.monotonic() - started < 5


def test_specificity_orders_full_names_before_globs_before_nothing():
    """Of two globs the one with more literal characters is more specific."""
    ordered = [None, "*", "?", "w*", "w*r", "writer"]
    assert sorted(ordered, key=specificity) == ordered
    assert specificity("*") == specificity("?") == (1, 0)


@pytest.mark.parametrize(
    ("general", "specific"),
    [
        (Match(), Match(caller="planner")),
        (Match(caller="planner"), Match(callee="writer")),
        (Match(caller="planner", callee="writer"), Match(method="/a.B/*")),
        (Match(method="/a.B/*"), Match(method="/a.B/C*")),
        (Match(caller="planner", callee="writer", method="/a.B/*"), Match(method="/a.B/C")),
        (Match(method="/a.B/C"), Match(callee="w*", method="/a.B/C")),
        (Match(callee="w*", method="/a.B/C"), Match(callee="writer", method="/a.B/C")),
    ],
)
def test_the_most_specific_spec_is_in_force(general: Match, specific: Match):
    """Method first, then callee, then caller, whatever the order of files."""
    for specs in (table(general, specific), table(specific, general)):
        found = specs.match("planner", "writer", "/a.B/C")
        assert found is not None
        assert found.match == specific


def test_an_edge_without_a_spec_has_none():
    """Nothing was promised, so nothing is checked."""
    specs = table(Match(caller="planner", callee="writer", method="/a.B/C"))
    assert name_of(specs.match("planner", "writer", "/a.B/C")) == "spec-0/v1"
    assert specs.match("other", "writer", "/a.B/C") is None
    assert specs.match("planner", "other", "/a.B/C") is None
    assert specs.match("planner", "writer", "/a.B/D") is None
    assert SpecTable().match("planner", "writer", "/a.B/C") is None


@pytest.mark.parametrize(
    ("one", "two", "is_tie"),
    [
        (Match(), Match(), True),
        (Match(callee="w*"), Match(callee="*r"), True),
        (Match(callee="wr*"), Match(callee="w*"), False),
        (Match(callee="w*"), Match(callee="x*"), False),
        (Match(callee="writer"), Match(callee="reader"), False),
        (Match(callee="writer"), Match(callee="writer"), True),
        (Match(callee="writer", caller="a*"), Match(callee="writer", caller="b*"), False),
        (Match(callee="w*", method="/a"), Match(callee="*r", method="/a"), True),
        (Match(callee="w*", method="/a"), Match(callee="*r", method="/b"), False),
        (Match(callee="writer"), Match(caller="writer"), False),
    ],
)
def test_ties_are_found_exactly(one: Match, two: Match, is_tie: bool):
    """A tie is equal specificity and some edge that fits both; either alone is fine."""
    assert len(list(ties(table(one, two).specs))) == is_tie


def test_remembered_edges_are_bounded():
    """Callers invent method names; memory must not follow them."""
    specs = table(Match(callee="writer"))
    for number in range(MAX_CACHED_EDGES + 1):
        assert specs.match("planner", "writer", f"/a/{number}") is not None
    assert specs._remembered.cache_info().currsize == MAX_CACHED_EDGES
    before = specs._remembered.cache_info().misses
    assert specs.match("planner", "writer", "/" + "x" * MAX_CACHED_NAME) is not None
    assert specs._remembered.cache_info().misses == before


DOCUMENT = {"a": {"b": [{"c": 1}, {"c": None}, {"d": 2}], "*": 3}, "e": [[1, 2], [3]], "": 0}


@pytest.mark.parametrize(
    ("path", "nodes"),
    [
        ("$", [((), DOCUMENT)]),
        ("$.a.b[*].c", [(("a", "b", 0, "c"), 1), (("a", "b", 1, "c"), None)]),
        ("$['a']['*']", [(("a", "*"), 3)]),
        ("$.e[-1][0]", [(("e", 1, 0), 3)]),
        ("$.e[2]", []),
        ("$.e[-3]", []),
        ("$.e.x", []),
        ("$.a[0]", []),
        ("$['']", [(("",), 0)]),
        ("$.e[*][*]", [(("e", 0, 0), 1), (("e", 0, 1), 2), (("e", 1, 0), 3)]),
        ("$..c", [(("a", "b", 0, "c"), 1), (("a", "b", 1, "c"), None)]),
        ("$.a.b[?@.c == 1]", [(("a", "b", 0), {"c": 1})]),
        ("$.a.b[0:2].c", [(("a", "b", 0, "c"), 1), (("a", "b", 1, "c"), None)]),
        ("$.a['*','x']", [(("a", "*"), 3)]),
    ],
)
def test_paths_select_places_and_values(path: str, nodes: Any):
    """RFC 9535, with the way to each value."""
    assert Path(path).select(DOCUMENT) == nodes


STEPS = st.sampled_from([".a", ".b", "['*']", "[0]", "[1]", "[-1]", "[-2]", "[*]", ".*", "['']"])
PATHS = st.lists(STEPS, max_size=4).map(lambda steps: "$" + "".join(steps))
DOCUMENTS = st.recursive(
    st.none() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "*", ""]), inner, max_size=3)
    ),
)


@given(PATHS, DOCUMENTS)
def test_our_walker_selects_what_the_library_selects(path: str, document: Any):
    """Speed may not change what a path means."""
    query = JSONPathEnvironment().compile(path)
    ours = walker(query.segments)
    assert ours is not None
    assert list(ours([((), document)])) == list(library_walk(query)([((), document)]))


@pytest.mark.parametrize("limit", [0, 1, 3, 4])
def test_selection_stops_at_its_limit(limit: int):
    """What lies past the limit is never looked at."""
    assert len(Path("$[*]").select([1, 2, 3], limit)) == min(limit, 3)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("", "a JSONPath (RFC 9535)"),
        ("a.b", "a JSONPath (RFC 9535)"),
        ("$.", "a JSONPath (RFC 9535)"),
        ("$[", "a JSONPath (RFC 9535)"),
        ("$[?(@.a ==]", "a JSONPath (RFC 9535)"),
        ("$[?" + "(" * 3_000 + "@.a" + ")" * 3_000 + "]", "a JSONPath (RFC 9535)"),
        ("$[?match(@.a, '(a+)+')]", "no match(), no search()"),
        ("$[?search(@.a, '(a+)+')]", "no match(), no search()"),
        ("$..a..b", "one `..` at most"),
        ("$..[?@..a]", "one `..` at most"),
        ("$[?@.a == $.b]", "`@` in filters, not `$`"),
    ],
)
def test_paths_that_are_wrong_or_slow_are_refused(path: str, allowed: str):
    """What a hostile message could make slow is refused before there is a message."""
    with pytest.raises(BrokenPath) as caught:
        Path(path)
    assert allowed in caught.value.allowed


def compiled(**data: Any) -> Spec:
    return compile_spec({"spec": "a/v1", "match": {}, **data}, source="a.yaml", base_uri="file:///a.yaml")


def test_a_spec_carries_what_was_declared():
    """Nothing is added: what is left out inherits or stays empty."""
    spec = compiled(match={"callee": "writer"}, mode="observe", request={"schema": True})
    assert (spec.name, spec.match, spec.mode, spec.source) == ("a/v1", Match(callee="writer"), Mode.OBSERVE, "a.yaml")
    assert not spec.terms(Direction.REQUEST).is_empty
    assert spec.terms(Direction.RESPONSE).is_empty
    assert compiled().mode is None


def test_parts_know_their_rule():
    """Findings name the part by its place in the file."""
    parts = [{"at": "$.a", "schema": True}, {"at": "$.b", "schema": True, "required": True}]
    found = compiled(response={"parts": parts}).response.parts
    assert [(part.rule, part.path.text, part.required) for part in found] == [
        ("response.parts[0]", "$.a", False),
        ("response.parts[1]", "$.b", True),
    ]


def test_all_flaws_of_a_spec_are_said_at_once():
    """Each with its way from the top of the spec."""
    with pytest.raises(BrokenSpec) as caught:
        compiled(
            request={"schema": {"type": "strin"}, "parts": [{"at": "a", "schema": {"minimum": "1"}}]},
            response={"schema": {"properties": {"x": {"pattern": "(?=a)"}}}},
        )
    assert [flaw.keys for flaw in caught.value.flaws] == [
        ("request", "schema", "type"),
        ("request", "parts", 0, "at"),
        ("request", "parts", 0, "schema", "minimum"),
        ("response", "schema", "properties", "x", "pattern"),
    ]
