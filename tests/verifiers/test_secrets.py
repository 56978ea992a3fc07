"""The secrets verifier: what a thief could use is found, what a manual shows is not.

Prefixes are joined to bodies at run time, so that scanners of this repository see no tokens in it. No value here opens
anything.
"""

from __future__ import annotations

import base64
import json
import time

import pytest

from verifiers.base import Evidence, Value, Verdict
from verifiers.secrets import DESCRIPTION, judge
from verifiers.secrets.numbers import is_luhn, is_mod97

BODY = "q7Zk2VtR9mXw4LpB8sNc3JdH6yGf1QaE5uTiKoWrPzMvCxYbSlDnFgAhUjO0e7Rk2Wq9Tz4LmXv8Bn3Hc6Jd1Fs5Gy7Pk0Qa2Zw"
HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def jwt(claims: dict[str, object], alg: str = "HS256") -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": alg}, claims)
    ]
    return ".".join([*parts, BODY[:43]])


def pem(kind: str) -> str:
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{BODY[:64]}\n{BODY[30:94]}\n-----END {kind}PRIVATE KEY-----"


SECRETS = [
    ("aws-key", "The key is " + "AKIA" + "2VTR9MXW4LPB8SNC."),
    ("aws-key", "export AWS_ACCESS_KEY_ID=" + "ASIA" + "Q7ZK2VTR9MXW4LPB"),
    ("assigned-secret", "aws_secret_access_key = " + BODY[:40]),
    ("github-token", "use " + "ghp_" + BODY[:36] + " to push"),
    ("github-token", "github_" + "pat_" + BODY[:22] + "_" + BODY[22:81]),
    ("gitlab-token", "clone with " + "glpat-" + BODY[:20]),
    ("slack-token", "xoxb-" + "273849105-582017364-" + BODY[:24]),
    ("stripe-key", "The live key: " + "sk_live_" + BODY[:24]),
    ("openai-key", "sk-" + "proj-" + BODY[:48]),
    ("anthropic-key", "sk-" + "ant-api03-" + BODY[:60]),
    ("google-key", "maps key " + "AIza" + BODY[:35]),
    ("huggingface-token", "hf_" + BODY[:34]),
    ("npm-token", "npm_" + BODY[:36]),
    ("sendgrid-key", "SG." + BODY[:22] + "." + BODY[22:65]),
    ("telegram-token", "7283941056:" + "AA" + BODY[:33]),
    ("jwt", "session " + jwt({"sub": "u-8812", "exp": 1893456000})),
    ("private-key", pem("RSA ")),
    ("private-key", pem("")),
    ("private-key", "here it is: " + pem("OPENSSH ").replace("\n", "\\n")),
    ("connection-string", "postgres://app:" + "w7Rk2Lp9" + "@db.internal:5432/orders"),
    ("connection-string", "amqps://svc:" + "Zk2VtR9mXw" + "@mq.corp.net/vhost"),
    ("basic-auth", "Authorization: Basic " + base64.b64encode(b"deploy:h4rbor-Lamp7").decode()),
    ("bearer-token", "curl -H 'Authorization: Bearer " + BODY[:40] + "'"),
    ("assigned-secret", 'password = "' + "Tr0ub4dor&3x" + '"'),
    ("assigned-secret", "The admin password is " + "kV9$mq27Lw" + ", please keep it safe."),
    ("assigned-secret", "API_KEY=" + HEX[:32]),
    ("assigned-secret", "Server=db;User Id=sa;Password=" + "w7Rk2Lp9!q" + ";"),
    ("card-number", "Charge 4929 8037 1645 9208, please"),
    ("card-number", "his Visa is 4539578763621486"),
    ("card-number", "5425-2334-3010-9903"),
    ("card-number", "amex 374245455400126"),
    ("iban", "Please pay to DE75 5121 0800 1245 1261 99 today"),
    ("iban", "FR7630006000011234567890189"),
    ("iban", "IBAN GB94BARC10201530093459."),
]
HARMLESS = [
    "AWS documents the key AKIAIOSFODNN7EXAMPLE and the secret wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY.",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "password: required",
    "The password must have at least 12 characters, among them a digit.",
    'password = "changeme123"',
    "password = ${DB_PASSWORD}",
    "api_key = os.environ['SERVICE_KEY_2']",
    "token: <your-token-here>",
    "Authorization: Bearer <token>",
    "Authorization: Bearer xxxxxxxxxxxxxxxxxxxxxxxx",
    "Bearer tokens are described in RFC 6750.",
    "Basic authentication sends a name and a password.",
    "postgres://user:password@localhost:5432/app",
    "postgres://app:****@db/orders and redis://localhost:6379/0",
    "https://github.com/owner/repo@v1.2.3",
    "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
    "A PEM file starts with -----BEGIN PRIVATE KEY----- and goes on in base 64.",
    "-----BEGIN PUBLIC KEY-----\n" + BODY[:64] + "\n-----END PUBLIC KEY-----",
    "The commit is " + HEX[:40] + " and the digest sha256:" + HEX,
    "The id of the order is 7d444840-9dc0-11d1-b245-5ffdce74fad2.",
    "next_page_token = " + BODY[:40],
    "idempotency-token: " + BODY[:40],
    "max_tokens: 4096, model gpt-large-2026-01-15",
    "token: tokenizer-large-v2",
    "Test cards are 4242 4242 4242 4242 and 4111 1111 1111 1111.",
    "The card number 4929 8037 1645 9209 does not pass its check digit.",
    "The parcel 4539578763621486 leaves the depot at noon.",
    "Pay to DE89 3704 0044 0532 0130 00 in the example, or to DE75 5121 0800 1245 1261 98.",
    "Measured at 1732406400123 ms: 12.5, 13.75 and 1234567890123456 counts.",
    "eyJ is how base 64 of an object starts: eyJhbGciOiJIUzI1NiJ9.not-a-body.signature-of-nothing-at-all",
    "The manual shows " + jwt({"sub": "1234567890", "name": "John Doe"}),
    "Mail to anna.weber@firma.de or call +49 30 901820 if in doubt; 321-54-9876 is the file number.",
    "sk_test_4eC39HqLyjWDarjtT1zdp7dc is a key for tests.",
    "The secret is patience. The key to it is practice.",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
]


def asked(response: object, request: object = None, **parameters: str) -> Verdict:
    return judge(Evidence("x", "a", "b", "/a.A/B", "s/v1", request, response, "c", "t", 1, parameters))


def told(text: str, **parameters: str) -> Verdict:
    return asked({"message": {"parts": [{"text": text}]}}, **parameters)


@pytest.mark.parametrize(("rule", "text"), SECRETS)
def test_secret_is_found_under_its_rule_once(rule: str, text: str) -> None:
    """One secret is one finding, at the text that holds it."""
    verdict = told(text)
    assert verdict.value is Value.FAIL
    assert [(found.rule, found.pointer) for found in verdict.findings] == [(rule, "/message/parts/0/text")]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_a_manual_or_a_report_shows_is_no_secret(text: str) -> None:
    """Examples, masks, variables, checksums and prose pass."""
    assert told(text) == Verdict(Value.PASS, 1.0)


@pytest.mark.parametrize(("rule", "text"), SECRETS)
def test_finding_shows_at_most_the_last_two_characters(rule: str, text: str) -> None:
    """No three characters in a row of a word that looks like a secret get out."""
    (found,) = told(text).findings
    words = [word for word in text.replace("=", " ").split() if len(word) >= 8 and any(char.isdigit() for char in word)]
    pieces = {word[at : at + 4] for word in words for at in range(len(word) - 3)}
    assert not any(piece in found.message for piece in pieces), rule


@pytest.mark.parametrize(("parameter", "rule", "text"), [
    ("personal", "email", "Write to anna.weber@firma.de, please."),
    ("personal", "phone", "Her number is +49 30 901820 44."),
    ("personal", "phone", "Call (212) 736-5000 after nine."),
    ("ssn", "ssn", "His number is 321-54-9876."),
])  # fmt: skip
def test_personal_data_is_judged_only_where_it_is_asked_for(parameter: str, rule: str, text: str) -> None:
    """Most agents handle addresses for a living."""
    assert told(text).value is Value.PASS
    assert [found.rule for found in told(text, **{parameter: "on"}).findings] == [rule]


@pytest.mark.parametrize(
    "text",
    [
        "Write to jane@example.com or info@firma.de.",
        "Call +1 212 555 0123, extension 12.",
        "The file 078-05-1120 and the part 000-12-3456 are examples.",
        "From 2024-03-12 to 2024-05-10 it was 192.168.10.12, version 10.20.30.40.",
        "Order 100-200-30-40, ISBN 978-3-16-148410-0.",
    ],
)
def test_reserved_and_fictional_data_is_nobodys(text: str) -> None:
    """Reserved domains, offices, film numbers and numbers that were never given out."""
    assert told(text, personal="on", ssn="on").value is Value.PASS


def test_name_of_a_member_says_what_its_value_is() -> None:
    """Data parts have no `password = ` in them, but a member of that name."""
    (found,) = asked({"data": {"db": {"password": "kV9$mq27Lw"}}}).findings
    assert (found.rule, found.pointer) == ("assigned-secret", "/data/db/password")


def test_number_beside_the_name_of_a_card_is_a_card() -> None:
    """JSON carries it as an integer."""
    assert [found.rule for found in asked({"card_number": 4539578763621486}).findings] == ["card-number"]
    assert asked({"order": 4539578763621486}).value is Value.PASS


def test_request_is_judged_only_where_a_parameter_says_so() -> None:
    """Agents must send credentials to some peers; which ones, the spec knows."""
    request, response = {"text": "AKIA" + "2VTR9MXW4LPB8SNC"}, {"text": "done"}
    assert asked(response, request).value is Value.PASS
    (found,) = asked(response, request, judge="request").findings
    assert found.in_request
    assert asked(response, request, judge="both").value is Value.FAIL


def test_unknown_parameter_value_is_inconclusive() -> None:
    """A typing error must not turn into a pass."""
    assert asked({"text": "done"}, judge="reqest").value is Value.INCONCLUSIVE


def test_nothing_to_read_is_inconclusive() -> None:
    """An absent document was not judged."""
    assert asked(None).value is Value.INCONCLUSIVE


def test_attached_text_is_read_and_an_attached_image_is_not_passed() -> None:
    """Bytes that are no text cannot be judged, and the finding says so."""
    text = base64.b64encode(("key " + "AKIA" + "2VTR9MXW4LPB8SNC").encode()).decode()
    assert [found.rule for found in asked({"parts": [{"raw": text}]}).findings] == ["aws-key"]
    image = base64.b64encode(bytes(range(256))).decode()
    verdict = asked({"parts": [{"raw": image}]})
    assert (verdict.value, [found.rule for found in verdict.findings]) == (Value.INCONCLUSIVE, ["unread-file"])


def test_secret_across_two_windows_of_a_long_line_is_found() -> None:
    """The library sees a line in windows that overlap by more than a token."""
    for before in range(1700, 2100, 20):
        assert told("word " * (before // 5) + "ghp_" + BODY[:36]).value is Value.FAIL


def test_findings_are_bounded() -> None:
    """A dump of a thousand keys gives twenty findings."""
    dump = [f"{{'password': 'kV9$mq27Lw{number}'}}" for number in range(1000)]
    assert len(asked(dump).findings) == 20


@pytest.mark.parametrize(("digits", "is_right"), [("4539578763621486", True), ("4539578763621487", False), ("0", True)])
def test_luhn_digit(digits: str, is_right: bool) -> None:
    """One wrong digit is always noticed."""
    assert is_luhn(digits) is is_right


def test_iban_digits() -> None:
    """Two swapped digits are noticed."""
    assert is_mod97("DE75512108001245126199")
    assert not is_mod97("DE75512108001245126919")


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "A1",
        "xoxb-1-",
        "://",
        "eyJ",
        "eyJ.",
        "\"'",
        "key=",
        "aws key ",
        "password: ",
        "1",
        "4 ",
        "1234 ",
        "DE12 ",
        "a@",
        "a.",
        "+1 ",
        "-",
        "https://hooks.slack.com/services/T",
        "-----BEGIN PRIVATE KEY-----\n",
        "Bearer ",
        "a://b:c",
        "\n",
        "Authorization: Basic a",
        "AKIA",
    ],
)
def test_a_mebibyte_of_anything_takes_bounded_time(piece: str) -> None:
    """Past the limit the document is not read on, and then it does not pass."""
    started = time.process_time()
    assert told(piece * (2**20 // len(piece)), personal="on", ssn="on").value is not Value.PASS
    assert time.process_time() - started < 1


def test_many_small_texts_are_bounded() -> None:
    """A hundred thousand members are not read to the end."""
    started = time.process_time()
    assert asked([{"token": "a"}] * 100_000).value is Value.INCONCLUSIVE
    assert time.process_time() - started < 1


def test_description_says_what_it_is_blind_to() -> None:
    """Whoever relies on it must know that an encoded secret passes."""
    assert any("encoded" in sentence for sentence in DESCRIPTION.blind_to)
