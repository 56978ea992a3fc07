"""Spec files: what loads, every mistake in words, and what a change on disk does."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sidecar.engine.exchange import Mode
from sidecar.errors import ConfigError
from sidecar.spec_files import FORMAT, SpecSource, load
from sidecar.spec_files.changes import changes
from sidecar.spec_files.files import MAX_FILES
from sidecar.yaml_source import MAX_BYTES

GOOD = "spec: writer/v1\nmatch: {callee: writer}\n"
EDGE = ("planner", "writer", "/a.B/C")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files are named as an operator in this folder would name them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    return tmp_path / "specs"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_yaml", ".yaml").replace("_json", ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def mistakes(*paths: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(paths)
    return [str(mistake) for mistake in caught.value.mistakes]


def names(source: Any) -> list[str]:
    return [spec.name for spec in source.table.specs]


FULL = """
spec: researcher/v1
match: {caller: "plan*", callee: researcher, method: /lf.a2a.v1.A2AService/SendMessage}
mode: enforce
request:
  schema: {type: object}
  parts:
    - {at: "$.message.parts[*].data", schema: {required: [query]}, required: true}
  rules:
    - {id: query-not-blank, expr: "request.message.parts.all(p, p.text != '')", message: "a query needs text"}
response:
  schema: true
  rules:
    - {id: same-context, expr: "response.task.contextId == request.message.contextId"}
errors: [INVALID_ARGUMENT, NOT_FOUND]
deadline: 30s
idempotency: {key: $.message.messageId, retain: 24h, duplicates: replay}
task: {id: $.task.id, state: $.task.status.state, machine: a2a}
resource: {key: $.account.id, version: $.account.version, writes: true, owner: billing}
cost: {model: $.task.metadata.model, input_tokens: $.i, output_tokens: $.o, estimate_usd: 0.02}
consistency: available
verifiers: {require: [grounding, arithmetic], quorum: 2, mode: observe, timeout: 2s}
"""


def test_every_part_of_the_format_is_read(folder: Path):
    """From file to promises."""
    write(folder, a_yaml=FULL)
    (spec,) = load([folder]).specs
    assert (spec.name, spec.mode, spec.source) == ("researcher/v1", Mode.ENFORCE, "specs/a.yaml")
    assert spec.request.parts[0].required


def test_specs_are_described_for_people(folder: Path):
    """The edge and the mode, then what is kept."""
    write(folder, a_yaml=GOOD, b_yaml="spec: b/v1\nmatch: {}\nmode: observe\ncost: {}\n")
    assert SpecSource([folder]).describe() == [
        "spec        writer/v1  * -> writer *, mode of the route",
        "spec        b/v1  * -> * *, observe",
    ]


def test_everything_that_a_spec_declares_is_described(folder: Path):
    """What was understood can be compared with what was meant, before it is in force."""
    write(folder, a_yaml=FULL)
    assert SpecSource([folder]).describe() == [
        "spec        researcher/v1  plan* -> researcher /lf.a2a.v1.A2AService/SendMessage, enforce",
        "              request: schema, 1 part, 1 rule",
        "              response: schema, 1 rule",
        "              errors: INVALID_ARGUMENT, NOT_FOUND",
        "              deadline: 30 s",
        "              task: machine a2a",
        "              resource: researcher/v1 at $.account.id, written by billing",
        "              cost: model $.task.metadata.model, input_tokens $.i, output_tokens $.o, estimate $0.02",
        "              verifiers: 2 of grounding, arithmetic within 2 s, observe",
        "              idempotency: $.message.messageId for 86400 s, replay",
        "              consistency: available",
    ]


@pytest.mark.parametrize(
    ("reads", "said"),
    [
        ("{single_flight: true}", ["one answer for identical calls of one caller"]),
        ("{single_flight: true, across_callers: true}", ["one answer for identical calls of all callers"]),
        ("{}", []),
    ],
)
def test_shared_reads_are_described(folder: Path, reads: str, said: list[str]):
    """Who shares an answer with whom is worth a second look before it is in force."""
    write(folder, a_yaml=GOOD + f"reads: {reads}\n")
    _, *promises = SpecSource([folder]).describe()
    assert promises == [f"              reads: {words}" for words in said]


def test_yaml_and_json_files_and_folders_load(folder: Path):
    """A path is a file or a folder with any depth; one that is named twice counts once."""
    as_json = json.dumps({"spec": "b/v1", "match": {"callee": "b"}})
    write(folder, a_yaml=GOOD, deep__er__b_json=as_json, _hidden_yaml=":", notes="text")
    (folder / ".git").mkdir()
    (folder / ".git" / "c.yaml").write_text(":")
    (folder / ".d.yaml").write_text(":")
    (folder / "_hidden.yaml").unlink()
    found = load([folder / "a.yaml", folder, str(folder)])
    assert sorted(spec.name for spec in found.specs) == ["b/v1", "writer/v1"]


def test_an_empty_folder_is_fine(folder: Path):
    """No promises, nothing to check."""
    assert load([folder]).specs == ()
    assert load([]).match(*EDGE) is None


def test_dollar_signs_are_only_characters(folder: Path):
    """Patterns and paths are full of them, so nothing is filled in from the environment."""
    write(folder, a_yaml=GOOD + 'request: {schema: {const: "${HOME} $$ $"}}\n')
    schema = load([folder]).specs[0].request.schema
    assert schema is not None
    assert schema.violations("x")[0].sentence == 'is not the one value allowed: "${HOME} $$ $"'


BROKEN = [
    ("", "specs/a.yaml:1: found an empty file; allowed: a mapping"),
    ("[]", "specs/a.yaml:1: found neither a spec nor a JSON Schema"),
    ("match: {}", "specs/a.yaml:1: found no `spec`; allowed: a name and a version: researcher/v1"),
    (
        "spec: a/v1",
        "specs/a.yaml:1: found no `match`; allowed: a mapping of `caller`, `callee` and `method`, each a name or a "
        "glob; {} matches every edge",
    ),
    ("spec: a\nmatch: {}", 'specs/a.yaml:1 spec: found "a"; allowed: a name and a version: researcher/v1'),
    (
        "spec: a/v1\nmatch:\n  method: a.B/C",
        'specs/a.yaml:3 match.method: found "a.B/C"; allowed: a full method name with its leading slash, or a glob: '
        "/lf.a2a.v1.A2AService/SendMessage",
    ),
    (
        "spec: a/v1\nmatch: {callees: b}",
        'specs/a.yaml:2 match.callees: found the unknown key "callees"; allowed: caller, callee, method '
        "(did you mean callee?)",
    ),
    (
        "spec: a/v1\nmatch: {zzz: b}",
        'specs/a.yaml:2 match.zzz: found the unknown key "zzz"; allowed: caller, callee, method',
    ),
    ("spec: a/v1\nmatch: {}\nmode: strict", 'specs/a.yaml:3 mode: found "strict"; allowed: observe or enforce'),
    ("spec: a/v1\nmatch: {}\nmode:", "specs/a.yaml:3 mode: found null; allowed: observe or enforce"),
    (
        "spec: a/v1\nmatch: {}\nrequest: {schema: x}",
        'specs/a.yaml:3 request.schema: found "x"; allowed: a JSON Schema (2020-12 unless `$schema` says otherwise): '
        "a mapping, true or false",
    ),
    (
        "spec: a/v1\nmatch: {}\nrequest: {parts: [{at: $.a}]}",
        "specs/a.yaml:3 request.parts[0]: found no `schema`; allowed: a JSON Schema (2020-12 unless `$schema` says "
        "otherwise): a mapping, true or false",
    ),
    (
        "spec: a/v1\nmatch: {}\nrequest:\n  parts:\n    - {at: a.b, schema: true}",
        """specs/a.yaml:5 request.parts[0].at: found "a.b": expected '$', found 'a', line 1, column 0; """
        "allowed: a JSONPath (RFC 9535)",
    ),
    (
        "spec: a/v1\nmatch: {}\ntask: {id: '$[?search(@.a, \"(a+)+\")]'}",
        r'specs/a.yaml:3 task.id: found "$[?search(@.a, \"(a+)+\")]"; allowed: a JSONPath that any message answers '
        "quickly: no match(), no search()",
    ),
    (
        "spec: a/v1\nmatch: {}\nresponse:\n  schema:\n    properties:\n      n: {type: integr}",
        'specs/a.yaml:6 response.schema.properties.n.type: found "integr"; allowed: one of object, array, string, '
        "integer, number, boolean, null, or a list of them",
    ),
    (
        "spec: a/v1\nmatch: {}\nrequest:\n  schema:\n    pattern: (?=a)b",
        'specs/a.yaml:5 request.schema.pattern: found the pattern "(?=a)b"; allowed: a regular expression without '
        "look-around, back-references",
    ),
    (
        "spec: a/v1\nmatch: {}\nrequest: {schema: {$ref: https://example.com/a.json}}",
        "specs/a.yaml:3 request.schema.'$ref': found a reference to \"https://example.com/a.json\"; allowed: files "
        "beside the specs, and the `$id` of a schema file there; nothing is fetched",
    ),
    (
        "spec: a/v1\nmatch: {}\nrequest: {schema: {$ref: ../outside.json}}",
        "specs/a.yaml:3 request.schema.'$ref': found a reference to outside.json; allowed: .yaml, .yml, .json files "
        "in the spec folders",
    ),
    (
        "spec: a/v1\nmatch: {}\nrequest: {schema: {$ref: gone.json}}",
        "specs/gone.json: found No such file or directory; allowed: a file that can be read",
    ),
    (
        "spec: a/v1\nmatch: {}\nerrors: [OK]",
        'specs/a.yaml:3 errors[0]: found "OK"; allowed: a gRPC status code other than OK: INVALID_ARGUMENT, NOT_FOUND',
    ),
    (
        "spec: a/v1\nmatch: {}\ndeadline: 30",
        "specs/a.yaml:3 deadline: found 30; allowed: a number with its unit: 500ms, 30s, 10m, 24h",
    ),
    (
        "spec: a/v1\nmatch: {}\nidempotency: {duplicates: drop}",
        'specs/a.yaml:3 idempotency.duplicates: found "drop"; allowed: replay, reject or observe',
    ),
    (
        "spec: a/v1\nmatch: {}\nverifiers: {require: [a], quorum: 0}",
        "specs/a.yaml:3 verifiers.quorum: found 0; allowed: a whole number, 1 or more",
    ),
    (
        "spec: a/v1\nmatch: {}\nconsistency: eventual",
        'specs/a.yaml:3 consistency: found "eventual"; allowed: available or consistent',
    ),
    (
        "spec: a/v1\nmatch: {}\ncost: {estimate_usd: -1}",
        "specs/a.yaml:3 cost.estimate_usd: found -1; allowed: US dollars, 0 or more",
    ),
    (
        "spec: a/v1\nmatch: {}\nrequest: {rules: [{id: a}]}",
        "specs/a.yaml:3 request.rules[0]: found no `expr`; allowed: an expression in CEL, at most 4096 characters",
    ),
    (
        "spec: a/v1\nmatch: {}\nrequest:\n  rules:\n    - {id: a, expr: unknown == 1}",
        "specs/a.yaml:5 request.rules[0].expr: found \"unknown == 1\": column 1: undeclared reference to 'unknown'; "
        "allowed: CEL over edge.callee, edge.caller, edge.method, request, sequence",
    ),
    (
        "spec: a/v1\nmatch: {}\nrequest: {rules: [{id: a, expr: 'true', severity: internal}]}",
        'specs/a.yaml:3 request.rules[0].severity: found "internal"; allowed: error, warning or info',
    ),
    (
        "spec: a/v1\nmatch: {}\ntask: {machine: b2b}",
        'specs/a.yaml:3 task.machine: found "b2b"; allowed: a2a, or a table with `initial`, `transitions`',
    ),
    (
        "spec: a/v1\nmatch: {}\ntask: {machine: {initial: a, transitions: {a: [b]}, terminal: [b], c: 1}}",
        'specs/a.yaml:3 task.machine.c: found the unknown key "c"; allowed: initial, transitions, terminal',
    ),
    (
        "spec: a/v1\nmatch: {}\ntask: {machine: {initial: a, transitions: {a: b}, terminal: [b]}}",
        'specs/a.yaml:3 task.machine.transitions.a: found "b"; allowed: a list of at most 64 states, each once',
    ),
    (
        "spec: a/v1\nmatch: {}\ntask: {machine: {initial: a, transitions: {a: [b]}}}",
        'specs/a.yaml:3 task.machine.transitions: found the unknown state "b" after "a"; allowed: a state with a row',
    ),
    (
        "spec: a/v1\nmatch: {}\nverifiers: {require: [a], sample: 2}",
        "specs/a.yaml:3 verifiers.sample: found 2; allowed: a share of messages, 0 to 1",
    ),
    (
        "spec: a/v1\nmatch: {}\nverifiers: {require: [a], quorum: 2}",
        "specs/a.yaml:3 verifiers.quorum: found 2; allowed: at most the 1 that `require` names",
    ),
    ("spec: a/v1\nspec: b/v1\nmatch: {}", "specs/a.yaml:2 spec: found the key again (first on line 1); allowed: each"),
    ("spec: [", "specs/a.yaml:1: found a YAML error"),
    ("type: object", "specs/a.yaml:1: found neither a spec nor a JSON Schema; allowed: a spec (`spec`, `match`)"),
]


@pytest.mark.parametrize(("text", "mistake"), BROKEN)
def test_a_broken_spec_is_refused_in_words(folder: Path, text: str, mistake: str):
    """File, line and path, what was found and what is allowed."""
    write(folder, a_yaml=text)
    assert mistakes(folder)[0].startswith(mistake)


BROKEN_JSON = [
    ("{", "specs/a.json:1: found Expecting property name"),
    ('{"spec": "a/v1",\n"match": {},}', "specs/a.json:2: found "),
    ('{"spec": 1, "spec": 2}', 'specs/a.json: found the key "spec" twice in one object; allowed: valid JSON'),
    ('{"spec": NaN}', "specs/a.json: found NaN, which is no JSON; allowed: valid JSON"),
    ("[" * 100_000, "specs/a.json: found "),
    ("[" * 65 + "]" * 65, "specs/a.json: found deeper nesting; allowed: at most 64 levels"),
    ('{"match": {}}', "specs/a.json: found no `spec`; allowed: a name and a version: researcher/v1"),
]


@pytest.mark.parametrize(("text", "mistake"), BROKEN_JSON)
def test_broken_json_is_refused_in_words(folder: Path, text: str, mistake: str):
    """JSON has no lines once it is parsed, so its path has to do."""
    write(folder, a_json=text)
    assert mistakes(folder)[0].startswith(mistake)


@pytest.mark.parametrize(("size", "is_read"), [(MAX_BYTES, True), (MAX_BYTES + 1, False), (10 << 20, False)])
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_files_have_a_largest_size(folder: Path, size: int, is_read: bool, suffix: str):
    """1 MiB is far more than any spec; 10 MiB must not even be parsed."""
    text = json.dumps({"spec": "a/v1", "match": {}})
    (folder / f"a.{suffix}").write_text(text + " " * (size - len(text)))
    if is_read:
        assert len(load([folder]).specs) == 1
    else:
        assert mistakes(folder) == [f"specs/a.{suffix}: found more than 1048576 bytes; allowed: at most 1048576 bytes"]


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 50_000,
        "a: &a [*a]",
        "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [" + "*a," * 99 + "]\nc: &c [" + "*b," * 99 + "]\nd: [" + "*c," * 99 + "]",
        "match: {}\nspec: !!python/object/apply:os.system [id]",
    ],
)
def test_hostile_yaml_is_refused(folder: Path, text: str):
    """Deep nesting, circles, aliases that unfold without end, and tags that would run code."""
    write(folder, a_yaml=text)
    assert mistakes(folder)[0].startswith("specs/a.yaml:")


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_folders_hold_a_bounded_number_of_files(folder: Path, count: int, monkeypatch: pytest.MonkeyPatch):
    """A wrong path (a home folder) must not be read for minutes."""
    assert MAX_FILES == 1_000
    monkeypatch.setattr("sidecar.spec_files.files.MAX_FILES", 3)
    for number in range(count):
        write(folder, **{f"a{number}_yaml": f"spec: a{number}/v1\nmatch: {{callee: a{number}}}"})
    if count <= 3:
        assert len(load([folder]).specs) == count
    else:
        assert mistakes(folder) == ["specs: found more than 3 files; allowed: at most 3"]


def test_all_mistakes_of_all_files_are_said_at_once(folder: Path):
    """So that they can be mended at once."""
    write(folder, a_yaml="spec: a\nmatch: 1", b_yaml="spec: [", c_yaml=GOOD)
    missing = folder / "gone"
    found = mistakes(folder, missing)
    assert [line.partition(": found")[0] for line in found] == [
        "specs/b.yaml:1",
        "specs/gone",
        "specs/a.yaml:2 match",
        "specs/a.yaml:1 spec",
    ]


def test_two_specs_of_one_name_are_a_mistake(folder: Path):
    """Findings name specs, so names must be one to one."""
    write(folder, a_yaml=GOOD, b_yaml="spec: writer/v1\nmatch: {callee: other}")
    assert mistakes(folder) == [
        'specs/b.yaml:1 spec: found "writer/v1", which specs/a.yaml has too; allowed: a name of its own'
    ]


def test_a_tie_names_both_files(folder: Path):
    """Otherwise the order of files would decide what is enforced."""
    write(folder, a_yaml="spec: a/v1\nmatch: {callee: w*}", b_yaml="spec: b/v1\nmatch: {callee: '*r'}")
    assert mistakes(folder) == [
        "specs/b.yaml:2 match: found a match as specific as that of a/v1 in specs/a.yaml, and an edge can fit both; "
        "allowed: matches of which one is more specific, or that never meet"
    ]


def refers(ref: str) -> str:
    return f"{GOOD}request: {{schema: {{$ref: '{ref}'}}}}\n"


def judge(folder: Path, document: Any) -> bool:
    spec = load([folder]).match(*EDGE)
    assert spec is not None
    assert spec.request.schema is not None
    return spec.request.schema.is_valid(document)


@pytest.mark.parametrize("ref", ["schemas/text.json", "schemas/../schemas/text.json", "schemas/text.yaml#/$defs/text"])
def test_schemas_are_referred_to_by_file(folder: Path, ref: str):
    """Relative to the file that refers."""
    text = {"type": "string", "$defs": {"text": {"type": "string"}}}
    write(folder, a_yaml=refers(ref), schemas__text_json=json.dumps(text), schemas__text_yaml=json.dumps(text))
    assert judge(folder, "x")
    assert not judge(folder, 1)


def test_schemas_refer_to_each_other_and_to_themselves(folder: Path):
    """Through files, `$defs` and circles."""
    node = {"properties": {"next": {"$ref": "node.json"}, "text": {"$ref": "../text.yaml#/$defs/text"}}}
    write(folder, a_yaml=refers("schemas/node.json"), schemas__node_json=json.dumps(node))
    write(folder, text_yaml="$defs: {text: {type: string}}")
    assert judge(folder, {"next": {"next": {"text": "x"}}})
    assert not judge(folder, {"next": {"next": {"text": 1}}})


def test_schemas_are_referred_to_by_their_id(folder: Path):
    """An address of the web is a name here: a loaded schema has it, or nothing does."""
    schema = {"$id": "https://example.com/text.json", "type": "string"}
    write(folder, a_yaml=refers("https://example.com/text.json"), text_json=json.dumps(schema))
    assert judge(folder, "x")
    assert not judge(folder, 1)


def test_two_schemas_of_one_id_are_a_mistake(folder: Path):
    """Which of them is meant would depend on the order of files."""
    write(folder, a_yaml="$id: https://example.com/a", b_yaml="$id: https://example.com/a#")
    assert mistakes(folder) == [
        "specs/b.yaml:1 '$id': found \"https://example.com/a#\", which specs/a.yaml has too; "
        "allowed: an `$id` of its own"
    ]


@pytest.mark.parametrize("ref", ["file:///etc/hostname.json", "//host/a.json", "ftp://h/a.json", "schemas/link.json"])
def test_references_stay_inside(folder: Path, ref: str):
    """No file outside the folders, not through a link either, and no other machine."""
    (folder.parent / "outside.json").write_text("{}")
    (folder / "schemas").mkdir()
    (folder / "schemas" / "link.json").symlink_to(folder.parent / "outside.json")
    write(folder, a_yaml=refers(ref))
    (mistake,) = mistakes(folder)
    assert mistake.startswith("specs/a.yaml:3 request.schema.'$ref': found a reference to ")


def test_a_file_by_name_is_a_spec(folder: Path):
    """Whoever names a file means a spec, and its neighbours can be referred to."""
    write(folder, a_yaml=refers("text.json"), text_json='{"type": "string"}')
    assert load([folder / "a.yaml"]).match(*EDGE) is not None
    assert "specs/text.json: found no `spec`; allowed: a name and a version: researcher/v1" in mistakes(
        folder / "text.json"
    )
    write(folder, list_yaml="[]")
    assert mistakes(folder / "list.yaml") == [
        "specs/list.yaml:1: found an array; allowed: a mapping with `spec` and `match`"
    ]


def test_the_published_schema_is_the_one_that_specs_are_validated_against():
    """An editor must complete and refuse what the sidecar does."""
    published = Path(__file__).parent.parent / "docs" / "spec.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == FORMAT


@pytest.mark.parametrize("text", [GOOD, FULL])
def test_the_published_format_accepts_what_loads(text: str):
    """Editors complete specs by it, so it stands on its own."""
    from yaml import safe_load

    jsonschema.Draft202012Validator.check_schema(FORMAT)
    jsonschema.Draft202012Validator(FORMAT).validate(safe_load(text))


def test_everything_in_the_published_format_says_what_is_allowed():
    """Its descriptions are the second half of every mistake."""
    pending, seen = [FORMAT], 0
    while pending:
        schema = pending.pop()
        assert "description" in schema or "$ref" in schema
        inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
        pending += inner + ([schema["items"]] if "items" in schema else [])
        seen += 1
    assert seen > 50


EXAMPLES = Path(__file__).parent.parent / "examples" / "specs"
A2A = "/lf.a2a.v1.A2AService/SendMessage"


@pytest.mark.parametrize(
    ("callee", "side", "document", "found"),
    [
        ("researcher", "request", {"message": {"messageId": "m", "parts": [{"data": {"query": "q"}}]}}, ""),
        (
            "researcher",
            "request",
            {"message": {"parts": [{}]}},
            'lacks the required property "messageId"',
        ),
        ("writer", "response", {"message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{}]}}, ""),
        (
            "writer",
            "response",
            {"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_FAILED"}}},
            "is not one of the 3 values allowed: "
            '["TASK_STATE_COMPLETED", "TASK_STATE_INPUT_REQUIRED", "TASK_STATE_AUTH_REQUIRED"]',
        ),
    ],
)
def test_the_examples_judge_messages(callee: str, side: str, document: Any, found: str):
    """What is shown to users works."""
    spec = load([EXAMPLES]).match("planner", callee, A2A)
    assert spec is not None
    schema = getattr(spec, side).schema
    assert schema.is_valid(document) is (not found)
    assert not found or schema.violations(document)[0].sentence == found


class Reloads:
    """What the source told, one item at a time."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def __call__(self, outcome: str, detail: str) -> None:
        self.told.put_nowait((outcome, detail))

    async def next(self) -> tuple[str, str]:
        return await asyncio.wait_for(self.told.get(), 20)


def test_a_reload_replaces_the_table_or_keeps_the_last_good_one(folder: Path):
    """A bad spec never replaces a good one."""
    told: list[tuple[str, str]] = []
    write(folder, a_yaml=GOOD)
    source = SpecSource([folder], on_reload=lambda *event: told.append(event))
    first = source.match(*EDGE)
    write(folder, a_yaml="spec: writer/v2\nmatch: {callee: writer}\nmode: strict")
    assert not source.reload()
    assert source.match(*EDGE) is first
    write(folder, a_yaml="spec: writer/v2\nmatch: {callee: writer}")
    assert source.reload()
    assert names(source) == ["writer/v2"]
    assert told == [
        ("refused", 'specs/a.yaml:3 mode: found "strict"; allowed: observe or enforce'),
        ("loaded", "1 in force"),
    ]


PANEL = "spec: writer/v1\nmatch: {callee: writer}\nverifiers:\n  require: [grounding, ghost]\n"
GHOST = 'specs/a.yaml:4 verifiers.require[1]: found "ghost"; allowed: the verifiers configured: arithmetic, grounding'


def test_a_verifier_that_nobody_configured_is_a_mistake_at_the_start_and_at_every_reload(folder: Path):
    """With path, found and allowed; the last good specs stay in force, as after any other mistake."""
    told: list[tuple[str, str]] = []
    known = {"grounding", "arithmetic"}
    write(folder, a_yaml=PANEL)
    with pytest.raises(ConfigError) as caught:
        SpecSource([folder], verifiers=known)
    assert str(caught.value) == GHOST
    write(folder, a_yaml=PANEL.replace(", ghost", ""))
    source = SpecSource([folder], verifiers=known, on_reload=lambda *event: told.append(event))
    first = source.match(*EDGE)
    write(folder, a_yaml=PANEL)
    assert not source.reload()
    assert source.match(*EDGE) is first
    write(folder, a_yaml=PANEL.replace("ghost", "arithmetic"))
    assert source.reload()
    assert told == [("refused", GHOST), ("loaded", "1 in force")]


def test_without_any_verifier_the_mistake_says_so(folder: Path):
    """None at all is another mistake than a slip of the pen. Whoever only reads specs is told nothing."""
    write(folder, a_yaml=PANEL.replace("grounding, ", ""))
    with pytest.raises(ConfigError, match="the verifiers configured: none yet"):
        SpecSource([folder], verifiers=())
    assert len(SpecSource([folder]).table.specs) == 1


def test_the_first_load_must_succeed(folder: Path):
    """There is no last good table yet."""
    write(folder, a_yaml="spec: [")
    with pytest.raises(ConfigError):
        SpecSource([folder])


@asynccontextmanager
async def watching(*paths: Path) -> AsyncIterator[tuple[SpecSource, Reloads]]:
    reloads = Reloads()
    source = SpecSource(paths, on_reload=reloads)
    stop = asyncio.Event()
    task = asyncio.create_task(source.watch(stop))
    try:
        yield source, reloads
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


def replace(path: Path, text: str) -> None:
    """As many editors save: a new file takes the old one's name."""
    new = path.with_name(f".{path.name}.tmp")
    new.write_text(text)
    new.replace(path)


async def test_files_that_change_appear_and_vanish_are_followed(folder: Path):
    """In place, by renaming, in a new folder below, and by removal: all are legal changes."""
    write(folder, a_yaml=GOOD)
    async with watching(folder) as (source, reloads):
        write(folder, a_yaml="spec: writer/v2\nmatch: {callee: writer}\n")
        assert await reloads.next() == ("loaded", "1 in force")
        assert names(source) == ["writer/v2"]
        replace(folder / "a.yaml", "spec: writer/v3\nmatch: {callee: writer}\n")
        assert await reloads.next() == ("loaded", "1 in force")
        assert names(source) == ["writer/v3"]
        write(folder, more__b_yaml="spec: b/v1\nmatch: {callee: b}\n")
        assert await reloads.next() == ("loaded", "2 in force")
        write(folder, more__b_yaml="spec: b/v2\nmatch: {callee: b}\n")
        assert await reloads.next() == ("loaded", "2 in force")
        (folder / "a.yaml").unlink()
        assert await reloads.next() == ("loaded", "1 in force")
        assert names(source) == ["b/v2"]


async def test_a_broken_change_is_told_and_mended(folder: Path):
    """The last good table stays in force until the files are good again."""
    write(folder, a_yaml=GOOD)
    async with watching(folder) as (source, reloads):
        write(folder, a_yaml="spec: writer/v2\nmatch: {calle: writer}\n")
        outcome, detail = await reloads.next()
        assert outcome == "refused"
        assert detail.startswith('specs/a.yaml:2 match.calle: found the unknown key "calle"')
        assert names(source) == ["writer/v1"]
        write(folder, a_yaml="spec: writer/v2\nmatch: {callee: writer}\n")
        assert await reloads.next() == ("loaded", "1 in force")
        assert names(source) == ["writer/v2"]


async def test_a_mounted_config_map_is_followed(folder: Path):
    """Kubernetes swaps a link to a folder: no file of the mount itself ever changes."""
    versions = [folder / f"..2024_{number}" for number in (1, 2)]
    for number, version in enumerate(versions, 1):
        version.mkdir()
        (version / "a.yaml").write_text(f"spec: writer/v{number}\nmatch: {{callee: writer}}\n")
        (version / "text.json").write_text('{"$schema": "https://json-schema.org/draft/2020-12/schema"}')
    (folder / "..data").symlink_to(versions[0].name)
    for name in ("a.yaml", "text.json"):
        (folder / name).symlink_to(f"..data/{name}")
    async with watching(folder) as (source, reloads):
        assert names(source) == ["writer/v1"]
        (folder / "..data_tmp").symlink_to(versions[1].name)
        os.replace(folder / "..data_tmp", folder / "..data")
        assert await reloads.next() == ("loaded", "1 in force")
        assert names(source) == ["writer/v2"]


async def test_a_schema_beside_a_single_file_is_followed(folder: Path):
    """What a spec refers to is part of it, even where only the spec was named."""
    write(folder, a_yaml=refers("text.json"), text_json='{"type": "string"}')
    async with watching(folder / "a.yaml") as (source, reloads):
        write(folder, text_json='{"type": "integer"}')
        assert await reloads.next() == ("loaded", "1 in force")
        spec = source.match(*EDGE)
        assert spec is not None
        assert spec.request.schema is not None
        assert spec.request.schema.is_valid(1)


async def test_noise_is_no_reload(folder: Path):
    """Only content counts: the first thing told is the change that follows the noise."""
    write(folder, a_yaml=GOOD)
    async with watching(folder) as (source, reloads):
        write(folder, a_yaml=GOOD, notes="text")
        (folder / "a.yaml~").write_text("backup")
        await source._refresh()
        assert reloads.told.empty()
        write(folder, a_yaml="spec: writer/v2\nmatch: {callee: writer}\n")
        assert await reloads.next() == ("loaded", "1 in force")


async def test_a_folder_that_is_replaced_is_found_again(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Its events are lost with it, so the clock finds it; meanwhile the last good table holds."""
    monkeypatch.setattr("sidecar.spec_files.changes.POLL_S", 0.1)
    write(folder, a_yaml=GOOD)
    async with watching(folder) as (source, reloads):
        folder.rename(folder.with_name("gone"))
        outcome, detail = await reloads.next()
        assert (outcome, detail.partition(":")[0]) == ("refused", "specs")
        assert names(source) == ["writer/v1"]
        write(folder, a_yaml="spec: writer/v2\nmatch: {callee: writer}\n")
        while await reloads.next() != ("loaded", "1 in force"):
            pass
        assert names(source) == ["writer/v2"]


async def test_without_events_the_clock_is_enough(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Machines run out of watches, and network file systems send none."""

    def exhausted(*paths: Path, **options: Any) -> Any:
        raise OSError("no more watches")

    monkeypatch.setattr("sidecar.spec_files.changes.awatch", exhausted)
    monkeypatch.setattr("sidecar.spec_files.changes.POLL_S", 0.05)
    write(folder, a_yaml=GOOD)
    async with watching(folder) as (source, reloads):
        write(folder, a_yaml="spec: writer/v2\nmatch: {callee: writer}\n")
        assert await reloads.next() == ("loaded", "1 in force")
        assert names(source) == ["writer/v2"]
    assert "because they cannot be watched: no more watches" in caplog.text


async def test_watching_ends_when_it_is_told_to(folder: Path):
    """Draining must not wait for the clock."""
    stop = asyncio.Event()
    waiting = asyncio.create_task(SpecSource([folder]).watch(stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(waiting, 2)
    assert [item async for item in changes(frozenset(), stop)] == []


@pytest.mark.parametrize("page", ["tasks.md", "consistency.md"])
def test_the_specs_that_a_page_shows_load(folder: Path, page: str):
    """Whoever copies one has a spec that works."""
    text = (Path(__file__).parent.parent / "docs" / page).read_text(encoding="utf-8")
    shown = re.findall(r"```yaml\n(spec:.*?)```", text, flags=re.DOTALL)
    write(folder, **{f"spec{number}_yaml": each for number, each in enumerate(shown)})
    specs = load([folder]).specs
    assert len(specs) == len(shown) == 2
