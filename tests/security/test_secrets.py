"""Secrets: wherever the sidecar can be made to speak, none of them is said."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import grpc
import yaml

from tests.process.programs import Program, agent
from tests.transparency.certs import make_tls_files

KEY = "lineage-key-that-nobody-may-read-1"
TOKEN = "metrics-token-that-nobody-may-read-2"
PASSWORD = "redis-password-that-nobody-may-read-3"
HEADER = "Bearer callers-own-token-that-nobody-may-read-4"
SECRETS = (KEY, TOKEN, PASSWORD, HEADER)


def configuration(folder: Path, upstream: int) -> Path:
    """All that can hold a secret, and a log as talkative as it gets."""
    (folder / "keys.yaml").write_text(yaml.safe_dump([{"id": "k1", "secret": KEY}]))
    (folder / "token").write_text(TOKEN)
    tls = make_tls_files(folder)
    tree = {
        "agent": "worker",
        "mode": "enforce",
        "routes": [
            {"listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream}"},
            {
                "listen": "127.0.0.1:0",
                "upstream": f"127.0.0.1:{upstream}",
                "caller": "worker",
                "callee": "other",
                "listen_tls": tls.listen_options(wants_client=True),
            },
        ],
        "lineage": {"keys_file": "keys.yaml"},
        "metrics": {"listen": "127.0.0.1:0", "token": {"secret_file": "token"}},
        "store": f"redis://user:{PASSWORD}@127.0.0.1:1/0",
        "tracing": {"exporter": "console"},
        "log": {"level": "debug", "exchanges": True},
    }
    path = folder / "sidecar.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_no_secret_is_ever_said(tmp_path: Path):
    """Not at the start, not with a store that refuses us, not in a call's line or span, not for a broken file."""
    with agent() as (_, upstream):
        config = configuration(tmp_path, upstream)
        checked = subprocess.run(
            [sys.executable, "-m", "sidecar", "check", "-c", str(config)], capture_output=True, text=True, check=False
        )
        program = Program("-m", "sidecar", "run", "-c", str(config))
        try:
            port = int(program.read_until(r"listening +inbound on 127\.0\.0\.1:(\d+)"))
            page = asked(port, program.read_until(r"serving +(http://\S+)"))
            (tmp_path / "keys.yaml").write_text(yaml.safe_dump([{"id": "k2", "secret": KEY, "more": TOKEN}]))
            program.read_until("cannot be used")
            program.terminate()
            program.wait()
        finally:
            program.close()
    said = "\n".join((checked.stdout, checked.stderr, program.printed, page))
    assert "worker" in said
    private = (tmp_path / "server.key").read_text().splitlines()[1]
    for secret in (*SECRETS, private):
        assert secret not in said


def asked(port: int, metrics_url: str) -> str:
    """A call with credentials of its own, and the metrics page."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        metadata = (("authorization", HEADER),)
        assert channel.unary_unary("/t.Agent/Echo")(b"hello", metadata=metadata, timeout=20) == b"hello"
    request = urllib.request.Request(metrics_url, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return bytes(answer.read()).decode()
