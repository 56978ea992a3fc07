"""A language model's endpoint for the judge: it is content with everything, and says what that took."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NAME = "house-model"
PRICES = {NAME: {"input_usd_per_million": 2.5, "output_usd_per_million": 10}}
RUBRIC = "The text says what it is about."


class Model:
    """Use as `with Model() as model`. Speaks the OpenAI chat wire on 127.0.0.1."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Model:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    """One chat completion after the other."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(completion(question)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """What is asked is for the judge's own tests."""


def completion(question: dict[str, Any]) -> dict[str, Any]:
    """A true answer repeats the token of its question."""
    text = question["messages"][-1]["content"]
    found = re.search(r"=== evidence (\w+) begins ===", text)
    verdict = {"token": found[1] if found else "", "verdict": "pass", "score": 1.0, "findings": []}
    message = {"role": "assistant", "content": json.dumps(verdict)}
    usage = {"prompt_tokens": len(text) // 4, "completion_tokens": 30}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"model": NAME, "choices": [choice], "usage": usage}
