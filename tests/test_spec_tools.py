"""Spec tools: recorded exchanges in; proposals, refusals and differences out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.cli import Group
from sidecar.commands.spec import spec
from sidecar.engine.message import Direction
from sidecar.engine.specs import Schema
from sidecar.errors import ConfigError
from sidecar.spec_files import load
from sidecar.spec_tools.compare import Verdict, compare_tables
from sidecar.spec_tools.documents import Place
from sidecar.spec_tools.infer import MAX_DEPTH, MAX_ENUM_LENGTH, EnumRule, infer
from sidecar.spec_tools.keywords import Effect
from sidecar.spec_tools.proposal import written
from sidecar.spec_tools.recorded import Bare, Edge, Recorded, read_recorded
from sidecar.spec_tools.replay import replay
from sidecar.spec_tools.schemas import schema_changes
from sidecar.yaml_source import read

EDGE = Edge("researcher", "/a.B/Search", "planner")
ASKED = {"caller": "planner", "callee": "researcher", "method": "/a.B/Search"}
SPEC = """
spec: search/v1
match: {callee: researcher, method: /a.B/Search}
request:
  schema: {type: object, required: [query], properties: {limit: {type: integer, maximum: 20}}}
response:
  rules:
    - {id: as-many-as-asked, expr: "!has(request.limit) || size(response.hits) <= request.limit", message: "too many"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files are named as an operator in this folder would name them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search.yaml").write_text(SPEC)
    return tmp_path


def lines(folder: Path, *values: Any, name: str = "calls.jsonl") -> Path:
    (folder / name).write_text("\n".join(json.dumps(value) for value in values))
    return Path(name)


def run(*arguments: str) -> Result:
    """As under `sidecar`, whose group turns mistakes into exit code 64."""
    top = Group(commands={"spec": spec})
    return CliRunner().invoke(top, ["spec", *arguments])


class TestRecorded:
    def test_each_value_of_a_file_has_its_line(self, folder: Path) -> None:
        """One a line, one over many lines, or members of a list: all are found, and each where it begins."""
        one = json.dumps({**ASKED, "request": {}})
        (folder / "mixed.json").write_text(f"{one}\n\n[\n  {one},\n  {one}\n]\n{json.dumps(json.loads(one), indent=1)}")
        found = read_recorded([Path("mixed.json")])
        assert [each.where for each in found] == ["mixed.json:1", "mixed.json:4", "mixed.json:5", "mixed.json:7"]

    def test_messages_of_streams_keep_their_order(self, folder: Path) -> None:
        """A stream is a list under the plural; one message is the same as a list of one."""
        found = read_recorded([lines(folder, {**ASKED, "requests": [1, 2], "response": None})])
        assert found == [Recorded("calls.jsonl:1", EDGE, (1, 2), (None,))]

    def test_bare_documents_take_their_edge_from_beside(self, folder: Path) -> None:
        """What was recorded without its edge is one message each."""
        found = read_recorded([lines(folder, {"a": 1}, {"b": 2})], Bare(EDGE, Direction.RESPONSE))
        assert [one.responses for one in found] == [({"a": 1},), ({"b": 2},)]

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ('{"a": 1}\n{"a" 1}', "calls.jsonl:2: found Expecting ':' delimiter (column 6)"),
            ('{"a": 1, "a": 2}', 'calls.jsonl:1: found the key "a" twice'),
            ('{"a": NaN}', "calls.jsonl:1: found NaN, which is no JSON"),
            ('\n"\\ud800"', "calls.jsonl:2: found half a surrogate pair"),
            ("[1 2]", "calls.jsonl:1: found a list that does not go on"),
            ("[1,", "calls.jsonl:1: found Expecting value"),
            ("[" * 100_000, "calls.jsonl:1: found "),
            ("3", "calls.jsonl:1: found an integer"),
            ('{"callee": "r", "method": "/a.B/C"}', "calls.jsonl:1: found no message"),
            ('{"callee": "r", "method": 7, "request": 1}', "calls.jsonl:1: found no `method` that is a text"),
            ('{"callee": "r", "method": "/a.B/C", "request": 1, "respnse": 1}', 'found the unknown key "respnse"'),
            ('{"callee": "r", "method": "/a.B/C", "request": 1, "requests": []}', "both `request` and `requests`"),
            ('{"callee": "r", "method": "/a.B/C", "responses": {}}', "found `responses` as an object"),
        ],
    )
    def test_mistakes_name_file_and_line(self, folder: Path, text: str, mistake: str) -> None:
        """A misspelled key must not turn a message into nothing to check."""
        (folder / "calls.jsonl").write_text(text)
        with pytest.raises(ConfigError) as caught:
            read_recorded([Path("calls.jsonl")])
        assert mistake in str(caught.value)

    def test_what_is_no_text_or_no_file_is_a_mistake_too(self, folder: Path) -> None:
        """All files are read before anything is said, so all mistakes come at once."""
        (folder / "latin.json").write_bytes(b'{\n"a": "\xe9"}')
        with pytest.raises(ConfigError) as caught:
            read_recorded([Path("latin.json"), Path("absent.json")])
        assert [one.where for one in caught.value.mistakes] == ["latin.json:2", "absent.json"]


class TestReplay:
    def test_schemas_and_rules_judge_as_on_the_wire(self, folder: Path) -> None:
        """A rule over both sees the request that the response answers."""
        good = {**ASKED, "request": {"query": "q", "limit": 2}, "response": {"hits": [1, 2]}}
        bad = {**ASKED, "request": {"limit": 21}, "response": {"hits": [1] * 22}}
        result = replay(read_recorded([lines(folder, good, bad)]), load(["search.yaml"]))
        found = [(one.where, one.direction, one.finding.rule, one.finding.pointer) for one in result.refused]
        assert found == [
            ("calls.jsonl:2", "request", "request.schema", ""),
            ("calls.jsonl:2", "request", "request.schema", "/limit"),
            ("calls.jsonl:2", "response", "response.rules.as-many-as-asked", ""),
        ]
        assert (result.exchanges, result.messages, result.refused_messages) == (2, 4, 2)

    def test_what_no_spec_covers_is_counted_and_not_passed(self, folder: Path) -> None:
        """Nothing was checked there, and the result says so."""
        calls = lines(folder, {**ASKED, "callee": "writer", "request": {}, "responses": [1, 2]})
        result = replay(read_recorded([calls]), load(["search.yaml"]))
        assert (result.messages, list(result.uncovered.values())) == (0, [3])


class TestTestCommand:
    def test_refusals_are_printed_with_place_rule_and_sentence(self, folder: Path) -> None:
        """Exit code 1, and a line for each complaint."""
        calls = lines(folder, {**ASKED, "request": {"query": "q"}}, {**ASKED, "request": {}})
        result = run("test", "search.yaml", "--documents", str(calls))
        assert result.exit_code == 1
        assert result.output.splitlines() == [
            'calls.jsonl:2  request.schema  search/v1: request lacks the required property "query"',
            "2 messages of 2 exchanges checked: 1 would be refused",
        ]

    def test_clean_traffic_exits_with_0(self, folder: Path) -> None:
        """The option takes all files up to the next option, as a shell unfolds them."""
        one = lines(folder, {**ASKED, "request": {"query": "q"}}, name="1.jsonl")
        two = lines(folder, {**ASKED, "callee": "writer", "request": {}}, name="2.jsonl")
        result = run("test", "search.yaml", "--documents", str(one), str(two))
        assert (result.exit_code, result.output.splitlines()) == (
            0,
            [
                "note: no spec covers planner -> writer /a.B/Search (1 message not checked)",
                "1 message of 2 exchanges checked: none would be refused",
            ],
        )

    def test_json_is_for_scripts(self, folder: Path) -> None:
        """The same facts, with the pointer apart."""
        calls = lines(folder, {"query": "q", "limit": 50})
        edge = ["--direction", "request", "--callee", "researcher", "--method", "/a.B/Search"]
        result = run("test", "search.yaml", "--documents", str(calls), "--json", *edge)
        told = json.loads(result.output)
        assert (result.exit_code, told["refused_messages"], told["refused"][0]["pointer"]) == (1, 1, "/limit")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--documents", "absent.jsonl"], "a file that can be read"),
            (["--documents", "other.jsonl"], "nothing to check"),
            (["--documents", "other.jsonl", "--direction", "request"], "all of --direction, --callee and --method"),
            (["--documents", "other.jsonl", "--caller", "x"], "--caller is for bare documents"),
            ([], "Missing option '--documents'"),
        ],
    )
    def test_mistakes_exit_with_64(self, folder: Path, arguments: list[str], said: str) -> None:
        """A test that checked nothing is a mistake and no success."""
        lines(folder, {**ASKED, "callee": "writer", "request": {}}, name="other.jsonl")
        result = run("test", "search.yaml", *arguments)
        assert (result.exit_code, said in result.output) == (64, True)


def exchanges(*requests: Any, edge: Edge = EDGE) -> list[Recorded]:
    return [Recorded(f"calls.jsonl:{number}", edge, (one,)) for number, one in enumerate(requests, 1)]


def request_schema(*requests: Any, enums: EnumRule | None = None) -> Any:
    return infer(exchanges(*requests), enums=enums).data["request"]["schema"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class TestInfer:
    def test_types_merge_and_only_what_was_always_there_is_required(self) -> None:
        """Whole numbers and others are numbers; a property missing once is optional."""
        assert request_schema({"a": 1, "b": [{"c": "x"}]}, {"a": 1.5}) == {
            "type": "object",
            "properties": {
                "a": {"type": "number"},
                "b": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"c": {"type": "string"}}, "required": ["c"]},
                },
            },
            "required": ["a"],
        }

    @pytest.mark.parametrize(
        ("values", "format_"),
        [
            (["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.1+01:00"], "date-time"),
            (["2026-01-02", "2026-01-03"], "date"),
            (["https://h.test/a", "urn:x:y"], "uri"),
            (["a@h.test", "b@h.test"], "email"),
            (["https://h.test/a", "not one"], None),
            (["2026-01-02", "2026-01-02"], None),
        ],
    )
    def test_formats_are_proposed_where_every_value_fits(self, values: list[str], format_: str | None) -> None:
        """One value alone may fit by chance."""
        assert request_schema(*values).get("format") == format_

    def test_enums_are_proposed_only_when_asked_for_and_often_enough_seen(self) -> None:
        """The values of an enum are payload, so the default copies none."""
        seen = ["red", "green"] * 4
        assert request_schema(*seen) == {"type": "string"}
        assert request_schema(*seen, enums=EnumRule())["enum"] == ["green", "red"]
        assert "enum" not in request_schema(*seen[:7], enums=EnumRule())

    @pytest.mark.parametrize(("count", "is_enum"), [(2, True), (3, False)])
    def test_more_values_than_the_limit_are_no_closed_set(self, count: int, is_enum: bool) -> None:
        """The limit is what is allowed."""
        values = [f"v{number}" for number in range(count)] * 5
        assert ("enum" in request_schema(*values, enums=EnumRule(limit=2))) == is_enum

    def test_prose_is_no_enum(self) -> None:
        """However often a long text was repeated, it is content."""
        assert "enum" not in request_schema(*["x" * (MAX_ENUM_LENGTH + 1)] * 9, enums=EnumRule())

    def test_names_that_are_data_are_left_out(self) -> None:
        """The keys of a map are payload, and no contract."""
        data = {"query": "q", "3f36680c-7f37-4a5f-945e-d78981fafd36": 1, "a b": 2, "order20260102": 3}
        assert request_schema(data)["properties"] == {"query": {"type": "string"}}
        assert request_schema(data)["required"] == ["query"]

    @settings(max_examples=60, deadline=None)
    @given(st.lists(json_values, min_size=1, max_size=4), st.booleans())
    def test_a_proposal_loads_and_accepts_what_it_was_made_from(self, documents: list[Any], has_enums: bool) -> None:
        """Through YAML and back: the file says what the proposal says, and every document satisfies it."""
        proposal = infer(exchanges(*documents), enums=EnumRule(repeats=1) if has_enums else None)
        data = read(written(proposal), name="proposal", environ=None).data
        assert data == proposal.data
        assert all(Schema(data["request"]["schema"]).is_valid(document) for document in documents)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.text(min_size=12, max_size=30), min_size=1, max_size=4))
    def test_no_value_reaches_a_proposal_unasked(self, secrets: list[str]) -> None:
        """Whatever texts pass, the proposal is the same."""
        proposals = [infer(exchanges(*({"text": text} for text in texts))) for texts in (secrets, ["plain"])]
        schemas = [one.data["request"]["schema"]["properties"]["text"]["type"] for one in proposals]
        assert schemas == ["string", "string"]
        assert not any(json.dumps(secret)[1:-1] in written(proposals[0]) for secret in secrets)

    def test_text_that_yaml_1_2_would_type_is_quoted(self) -> None:
        """PyYAML knows YAML 1.1, where `1e5` is text; our reader would make a number of it."""
        proposal = infer(exchanges(*["1e5", "0o17", "off"] * 4), enums=EnumRule())
        assert read(written(proposal), name="x", environ=None).data == proposal.data

    @pytest.mark.parametrize(("levels", "is_fine"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)])
    def test_documents_nest_to_a_limit(self, levels: int, is_fine: bool) -> None:
        """The proposal must fit the nesting that spec files may have."""
        document: Any = 1
        for _ in range(levels):
            document = {"a": document}
        if is_fine:
            assert read(written(infer(exchanges(document))), name="x", environ=None).data["spec"]
        else:
            with pytest.raises(ConfigError, match=r"calls\.jsonl:1.*deeper"):
                infer(exchanges(document))

    def test_the_command_prints_a_spec_that_test_accepts(self, folder: Path) -> None:
        """From traffic to contract and back, with nothing in between."""
        calls = lines(folder, *({**ASKED, "request": {"query": q}, "response": {"hits": [q]}} for q in "ab"))
        proposed = run("infer", str(calls))
        (folder / "proposed.yaml").write_text(proposed.output)
        assert proposed.output.startswith("# Proposed from 2 requests and 2 responses")
        assert yaml.safe_load(proposed.output)["spec"] == "researcher-Search/v1"
        assert run("test", "proposed.yaml", "--documents", str(calls)).exit_code == 0

    def test_several_edges_must_be_chosen_from(self, folder: Path) -> None:
        """A spec is about one callee and method; the mistake says which there are."""
        calls = lines(folder, {**ASKED, "request": 1}, {**ASKED, "callee": "writer", "request": 1})
        refused = run("infer", str(calls))
        assert (refused.exit_code, "researcher /a.B/Search, writer /a.B/Search" in refused.output) == (64, True)
        assert run("infer", str(calls), "--callee", "writer").exit_code == 0


N, W, U = Effect.NARROWED, Effect.WIDENED, Effect.UNKNOWN
OPEN: dict[str, Any] = {}

TABLE: list[tuple[Any, Any, set[tuple[str, Effect]]]] = [
    (OPEN, OPEN, set()),
    (True, OPEN, set()),
    (True, False, {("", N)}),
    (False, OPEN, {("", W)}),
    (OPEN, {"type": "string"}, {("type", N)}),
    ({"type": "string"}, OPEN, {("type", W)}),
    ({"type": "number"}, {"type": "integer"}, {("type", N)}),
    ({"type": "integer"}, {"type": ["number", "null"]}, {("type", W)}),
    ({"type": "string"}, {"type": "array"}, {("type", N), ("type", W)}),
    ({"enum": ["a", "b"]}, {"enum": ["b", "a"]}, set()),
    ({"enum": ["a", "b"]}, {"enum": ["a"]}, {("enum", N)}),
    ({"enum": ["a"]}, {"enum": ["a", "b"]}, {("enum", W)}),
    ({"enum": [1]}, {"enum": [1.0]}, set()),
    ({"enum": [1]}, {"enum": [True]}, {("enum", N), ("enum", W)}),
    (OPEN, {"enum": ["a"]}, {("enum", N)}),
    ({"enum": ["a"]}, OPEN, {("enum", W)}),
    ({"const": "a"}, {"enum": ["a", "b"]}, {("enum", W)}),
    ({"const": "a"}, {"const": "b"}, {("const", N), ("const", W)}),
    ({"minimum": 1}, {"minimum": 2}, {("minimum", N)}),
    ({"minimum": 1}, {"exclusiveMinimum": 1}, {("minimum", N)}),
    ({"minimum": 1}, OPEN, {("minimum", W)}),
    ({"type": "integer", "minimum": 1}, {"type": "integer", "exclusiveMinimum": 0}, set()),
    ({"maximum": 1}, {"maximum": 2}, {("maximum", W)}),
    (OPEN, {"maximum": 2}, {("maximum", N)}),
    ({"maximum": 2}, {"exclusiveMaximum": 2}, {("maximum", N)}),
    ({"multipleOf": 3}, {"multipleOf": 6}, {("multipleOf", N)}),
    ({"multipleOf": 0.2}, {"multipleOf": 0.1}, {("multipleOf", W)}),
    ({"multipleOf": 4}, {"multipleOf": 6}, {("multipleOf", N), ("multipleOf", W)}),
    (OPEN, {"multipleOf": 2}, {("multipleOf", N)}),
    *(
        (low, high, {(keyword, effect)})
        for keyword in ("minLength", "minItems", "minProperties")
        for low, high, effect in [({keyword: 1}, {keyword: 2}, N), ({keyword: 1}, OPEN, W), (OPEN, {keyword: 1}, N)]
    ),
    *(
        (low, high, {(keyword, effect)})
        for keyword in ("maxLength", "maxItems", "maxProperties")
        for low, high, effect in [({keyword: 1}, {keyword: 2}, W), ({keyword: 1}, OPEN, W), (OPEN, {keyword: 1}, N)]
    ),
    ({"minLength": 0}, OPEN, set()),
    ({"pattern": "a"}, {"pattern": "b"}, {("pattern", U)}),
    ({"pattern": "a"}, OPEN, {("pattern", W)}),
    (OPEN, {"format": "date"}, {("format", N)}),
    ({"format": "date"}, {"format": "time"}, {("format", U)}),
    ({"type": "integer", "pattern": "a"}, {"type": "integer", "pattern": "b"}, set()),
    (OPEN, {"uniqueItems": True}, {("uniqueItems", N)}),
    ({"uniqueItems": True}, {"uniqueItems": False}, {("uniqueItems", W)}),
    (OPEN, {"required": ["a"]}, {("required", N)}),
    ({"required": ["a", "b"]}, {"required": ["b", "c"]}, {("required", N), ("required", W)}),
    (OPEN, {"dependentRequired": {"a": ["b"]}}, {("dependentRequired", N)}),
    ({"dependentRequired": {"a": ["b"]}}, OPEN, {("dependentRequired", W)}),
    ({"properties": {"a": {"type": "string"}}}, OPEN, {("properties/a/type", W)}),
    (OPEN, {"properties": {"a": {"type": "string"}}}, {("properties/a/type", N)}),
    (
        {"additionalProperties": False},
        {"additionalProperties": False, "properties": {"a": {"type": "string"}}},
        {("properties/a", W)},
    ),
    (
        {"additionalProperties": False, "properties": {"a": True}},
        {"additionalProperties": False},
        {("properties/a", N)},
    ),
    (OPEN, {"additionalProperties": False}, {("additionalProperties", N)}),
    (
        {"additionalProperties": {"maxLength": 1}},
        {"additionalProperties": {"maxLength": 2}},
        {("additionalProperties/maxLength", W)},
    ),
    ({"propertyNames": {"maxLength": 2}}, {"propertyNames": {"maxLength": 1}}, {("propertyNames/maxLength", N)}),
    (
        {"patternProperties": {"^x": {"maxLength": 2}}},
        {"patternProperties": {"^x": {"maxLength": 1}}},
        {("patternProperties/^x/maxLength", N)},
    ),
    ({"patternProperties": {"^x": True}}, OPEN, {("patternProperties/^x", U)}),
    (
        {"patternProperties": {"^x": True}, "additionalProperties": False},
        {"patternProperties": {"^x": True}, "additionalProperties": False, "properties": {"xa": {"type": "null"}}},
        {("properties/xa/type", N)},
    ),
    (OPEN, {"dependentSchemas": {"a": {"required": ["b"]}}}, {("dependentSchemas/a/required", N)}),
    ({"items": {"type": "string"}}, OPEN, {("items/type", W)}),
    ({"items": {"maxLength": 2}}, {"items": {"maxLength": 1}}, {("items/maxLength", N)}),
    ({"items": False}, {"items": False, "prefixItems": [{"type": "null"}]}, {("prefixItems/0", W)}),
    ({"prefixItems": [{"maxLength": 1}]}, OPEN, {("prefixItems/0/maxLength", W)}),
    (OPEN, {"contains": True}, {("contains", N)}),
    ({"contains": {"maxLength": 1}}, {"contains": {"maxLength": 2}}, {("contains/maxLength", W)}),
    ({"contains": True}, {"contains": True, "minContains": 2}, {("contains", U)}),
    ({"allOf": [{"maxLength": 1}]}, {"allOf": [{"maxLength": 1}, {"minLength": 1}]}, {("allOf/1", N)}),
    ({"allOf": [{"maxLength": 1}]}, OPEN, {("allOf/0", W)}),
    ({"allOf": [{"maxLength": 1}]}, {"allOf": [{"maxLength": 2}]}, {("allOf/0/maxLength", W)}),
    ({"anyOf": [{"const": 1}]}, {"anyOf": [{"const": 2}, {"const": 1}]}, {("anyOf/0", W)}),
    ({"anyOf": [{"const": 1}, {"const": 2}]}, {"anyOf": [{"const": 2}]}, {("anyOf/0", N)}),
    (OPEN, {"anyOf": [{"const": 1}]}, {("anyOf", N)}),
    ({"anyOf": [{"const": 1}]}, OPEN, {("anyOf", W)}),
    (OPEN, {"oneOf": [{"const": 1}]}, {("oneOf", N)}),
    ({"oneOf": [{"const": 1}]}, {"oneOf": [{"const": 2}]}, {("oneOf", U)}),
    ({"oneOf": [{"const": 1, "title": "a"}]}, {"oneOf": [{"const": 1, "title": "b"}]}, set()),
    ({"oneOf": [{"const": {"title": "a"}}]}, {"oneOf": [{"const": {"title": "b"}}]}, {("oneOf", U)}),
    ({"not": {"const": 1}}, OPEN, {("not", W)}),
    ({"not": {"const": 1}}, {"not": {"const": 2}}, {("not", U)}),
    ({"if": {"const": 1}}, {"if": {"const": 2}}, {("if", U)}),
    ({"if": {"const": 1}}, {"if": {"const": 1}, "then": {"maxLength": 1}}, {("then/maxLength", N)}),
    (OPEN, {"if": {"const": 1}, "then": False}, {("if", N)}),
    ({"description": "a"}, {"description": "b", "title": "t", "examples": [1]}, set()),
    ({"x-own": 1}, {"x-own": 2}, {("x-own", U)}),
    (
        {"unevaluatedProperties": False, "properties": {"a": True}},
        {"unevaluatedProperties": False, "properties": {"a": True, "b": True}},
        {("unevaluatedProperties", U)},
    ),
    ({"$defs": {"a": {"maxLength": 1}}, "$ref": "#/$defs/a"}, {"maxLength": 1}, set()),
    (
        {"$defs": {"a": {"maxLength": 2}}, "items": {"$ref": "#/$defs/a"}},
        {"$defs": {"a": {"maxLength": 1}}, "items": {"$ref": "#/$defs/a"}},
        {("items/maxLength", N)},
    ),
    (
        {"$defs": {"a": {"maxLength": 1}}, "oneOf": [{"$ref": "#/$defs/a"}]},
        {"$defs": {"a": {"maxLength": 2}}, "oneOf": [{"$ref": "#/$defs/a"}]},
        {("oneOf", U)},
    ),
    (
        {"properties": {"a": {"$ref": "#", "maxProperties": 2}}},
        {"properties": {"a": {"$ref": "#"}}},
        {("properties/a/maxProperties", W)},
    ),
    ({"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}, "required": ["b"]}, {("required", N)}),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, OPEN, {("", U)}),
    ({"$ref": "https://h.test/x"}, {"$ref": "https://h.test/x"}, {("", U)}),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [True]}, OPEN, {("$schema", U), ("items", U)}),
]


def place(schema: Any) -> Place:
    return Place(schema, schema)


def steps(old: Any, new: Any) -> set[tuple[str, Effect]]:
    return {("/".join(map(str, step.keys)), step.effect) for step in schema_changes(place(old), place(new))}


keywords = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "number", "object", "array", ["null", "object"]]),
        "enum": st.lists(st.sampled_from([0, 1, 1.5, "a", "bb", None, True]), min_size=1, max_size=4, unique_by=repr),
        "minimum": st.integers(0, 2),
        "exclusiveMinimum": st.integers(0, 2),
        "multipleOf": st.sampled_from([0.5, 1, 2]),
        "maxLength": st.integers(0, 2),
        "pattern": st.sampled_from(["^a", "b$"]),
        "required": st.lists(st.sampled_from("ab"), unique=True, max_size=2),
        "maxProperties": st.integers(0, 2),
        "minItems": st.integers(0, 2),
        "uniqueItems": st.booleans(),
    },
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    schemas = st.lists(inner, min_size=1, max_size=2)
    named = st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    optional = {
        "properties": named,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
        "additionalProperties": inner,
        "items": inner,
        "prefixItems": schemas,
        "contains": inner,
        "allOf": schemas,
        "anyOf": schemas,
        "oneOf": schemas,
        "not": inner,
        "if": inner,
        "then": inner,
        "dependentRequired": st.just({"a": ["b"]}),
        "unevaluatedProperties": st.booleans(),
        "$ref": st.just("#/$defs/d"),
    }
    return st.tuples(keywords, st.fixed_dictionaries({}, optional=optional)).map(lambda pair: {**pair[0], **pair[1]})


schemas = st.recursive(st.booleans() | keywords, nested, max_leaves=6).filter(lambda one: isinstance(one, dict))
small_documents = st.recursive(
    st.sampled_from([None, True, 0, 1, 1.5, 2, "", "a", "ab", "bb"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b", "ab"]), inner, max_size=2),
    max_leaves=4,
)


def named(each: Any) -> str:
    """The same name in every process: a set has another order in each."""
    return json.dumps(sorted(each) if isinstance(each, set) else each, default=str)[:60]


class TestSchemaChanges:
    @pytest.mark.parametrize(("old", "new", "expected"), TABLE, ids=named)
    def test_each_keyword_is_judged(self, old: Any, new: Any, expected: set[tuple[str, Effect]]) -> None:
        """Where, and whether less or more is allowed, or nobody can tell."""
        assert steps(old, new) == expected

    @settings(max_examples=400, deadline=None)
    @given(schemas, schemas, st.booleans(), keywords, keywords, st.lists(small_documents, min_size=1, max_size=12))
    def test_what_is_not_called_narrower_refuses_nothing_more(
        self, old: Any, new: Any, is_patch: bool, old_def: Any, new_def: Any, documents: list[Any]
    ) -> None:
        """The promise of the comparison, both ways, against the engine that judges on the wire."""
        new = {**old, **new} if is_patch else new
        old, new = {**old, "$defs": {"d": old_def}}, {**new, "$defs": {"d": new_def}}
        effects = {effect for _, effect in steps(old, new)}
        before, after = Schema(old), Schema(new)
        for document in documents:
            was, is_now = before.is_valid(document), after.is_valid(document)
            assert is_now or not was or effects & {N, U}
            assert was or not is_now or effects & {W, U}

    @settings(max_examples=100, deadline=None)
    @given(schemas, keywords)
    def test_a_schema_does_not_differ_from_itself(self, schema: Any, definition: Any) -> None:
        """Read twice from a file, it is the same schema in other objects."""
        data = {**schema, "$defs": {"d": definition}}
        assert steps(data, json.loads(json.dumps(data))) == set()


def versions(folder: Path, old: str, new: str) -> list[tuple[Verdict, str, str]]:
    for name, body in (("old", old), ("new", new)):
        (folder / name).mkdir(exist_ok=True)
        head = "" if body.startswith("spec:") else f"spec: s/{name}\nmatch: {{callee: r}}\n"
        (folder / name / "s.yaml").write_text(head + body)
    changes = compare_tables(load([folder / "old"]), load([folder / "new"]))
    return [(change.verdict, change.where, change.pointer) for change in changes]


CALLERS, READERS, CANNOT, FINE = Verdict.CALLERS, Verdict.READERS, Verdict.UNKNOWN, Verdict.COMPATIBLE
RULES = "{side}: {{rules: [{{id: r, expr: '{expr}'}}]}}\n"


class TestCompare:
    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("", "", []),
            ("", "request: {schema: {required: [a]}}", [(CALLERS, "request.schema", "/required")]),
            ("request: {schema: {required: [a]}}", "", [(FINE, "request.schema", "/required")]),
            ("", "response: {schema: {required: [a]}}", [(FINE, "response.schema", "/required")]),
            ("response: {schema: {required: [a]}}", "", [(READERS, "response.schema", "/required")]),
            ("response: {schema: {not: {}}}", "response: {schema: {not: true}}", [(CANNOT, "response.schema", "/not")]),
            (
                "",
                "request: {parts: [{at: $.a, schema: {maxLength: 1}}]}",
                [(CALLERS, "request.parts[$.a]", "/maxLength")],
            ),
            (
                "request: {parts: [{at: $.a, schema: true}]}",
                "request: {parts: [{at: $.a, schema: true, required: true}]}",
                [(CALLERS, "request.parts[$.a]", "")],
            ),
            (
                "response: {parts: [{at: $.a, schema: {maxLength: 1}, required: true}]}",
                "response: {}",
                [(READERS, "response.parts[$.a]", "/maxLength"), (READERS, "response.parts[$.a]", "")],
            ),
            ("mode: observe", "mode: enforce", [(CALLERS, "mode", "")]),
            ("mode: enforce", "mode: observe", [(READERS, "mode", "")]),
            ("", "mode: enforce", [(CANNOT, "mode", "")]),
            ("", RULES.format(side="request", expr="true"), [(CALLERS, "request.rules", "/r")]),
            (RULES.format(side="response", expr="true"), "", [(READERS, "response.rules", "/r")]),
            (
                RULES.format(side="request", expr="true"),
                RULES.format(side="request", expr="request.a == 1"),
                [(CANNOT, "request.rules", "/r")],
            ),
            ("errors: [NOT_FOUND]", "errors: [ABORTED]", [(READERS, "errors", ""), (FINE, "errors", "")]),
            ("errors: [NOT_FOUND]", "", [(READERS, "errors", "")]),
            ("", "errors: []", [(FINE, "errors", "")]),
            ("deadline: 1m", "deadline: 30s", [(CALLERS, "deadline", "")]),
            ("deadline: 1000ms", "deadline: 1s", [(FINE, "deadline", "")]),
            ("", "deadline: 30s", [(CALLERS, "deadline", "")]),
            ("", "consistency: available", [(CANNOT, "consistency", "")]),
            ("spec: s/1\nmatch: {callee: r}", "spec: s/2\nmatch: {callee: 'r*'}", [(CANNOT, "match", "")]),
        ],
    )
    def test_each_change_has_its_verdict(self, folder: Path, old: str, new: str, expected: list[Any]) -> None:
        """Less in requests breaks callers, more in answers breaks readers, and what cannot be told is said."""
        assert versions(folder, old, new) == expected

    def test_references_to_files_are_followed(self, folder: Path) -> None:
        """A change in a schema file is a change of every spec that refers to it."""
        for name, limit in (("old", 2), ("new", 1)):
            (folder / name / "schemas").mkdir(parents=True)
            (folder / name / "schemas" / "q.json").write_text(json.dumps({"$defs": {"q": {"maxLength": limit}}}))
        body = "request: {schema: {properties: {q: {$ref: 'schemas/q.json#/$defs/q'}}}}"
        assert versions(folder, body, body) == [(CALLERS, "request.schema", "/properties/q/maxLength")]

    def test_folders_pair_specs_by_name(self, folder: Path) -> None:
        """A spec that is new limits callers; one that is gone leaves readers without a promise."""
        assert versions(folder, "", "") == []
        (folder / "old" / "gone.yaml").write_text("spec: g/1\nmatch: {callee: g}\nresponse: {schema: {maxItems: 1}}")
        (folder / "new" / "come.yaml").write_text("spec: c/1\nmatch: {callee: c}\nrequest: {schema: {maxItems: 1}}")
        assert versions(folder, "", "") == [
            (FINE, "spec", ""),
            (CALLERS, "request.schema", "/maxItems"),
            (FINE, "spec", ""),
            (READERS, "response.schema", "/maxItems"),
        ]

    def test_two_versions_of_one_spec_on_a_side_are_a_mistake(self, folder: Path) -> None:
        """Nothing says which of them is meant."""
        versions(folder, "", "")
        (folder / "old" / "twin.yaml").write_text("spec: s/other\nmatch: {callee: t}")
        with pytest.raises(ConfigError, match="one version of each spec"):
            versions(folder, "", "")


class TestDiffCommand:
    def test_breaking_changes_come_first_and_exit_with_1(self, folder: Path) -> None:
        """The line names verdict, versions, place and sentence."""
        (folder / "next.yaml").write_text(SPEC.replace("search/v1", "search/v2").replace("[query]", "[limit]"))
        result = run("diff", "search.yaml", "next.yaml")
        title = "search/v1 -> search/v2 request.schema /required"
        assert (result.exit_code, result.output.splitlines()) == (
            1,
            [
                f'breaking for callers: {title}: the property "limit" must be there now',
                f'compatible: {title}: the property "query" may be missing now',
                "1 breaking for callers, 1 compatible",
            ],
        )

    def test_no_change_exits_with_0(self, folder: Path) -> None:
        """Comparing a spec with itself is the least that must work."""
        result = run("diff", "search.yaml", "search.yaml")
        assert (result.exit_code, result.output) == (0, "no change\n")

    def test_json_counts_what_breaks(self, folder: Path) -> None:
        """For scripts: the verdicts by name."""
        (folder / "next.yaml").write_text(SPEC.replace("maximum: 20", "maximum: 10"))
        told = json.loads(run("diff", "search.yaml", "next.yaml", "--json").output)
        assert (told["breaking"], told["changes"][0]["verdict"]) == (1, "breaking for callers")

    def test_a_broken_spec_exits_with_64(self, folder: Path) -> None:
        """Nothing is compared that could not be loaded."""
        (folder / "bad.yaml").write_text("spec: search/v2\n")
        result = run("diff", "search.yaml", "bad.yaml")
        assert (result.exit_code, "no `match`" in result.output) == (64, True)
