"""A span receiver that can be told to refuse, as a collector does whose quota is used up."""

from __future__ import annotations

from typing import Any

import grpc

from sidecar.demo.otlp_sink import OtlpSink, ReceivedSpan, Request, Response, spans_in


class Collector(OtlpSink):
    """Use as `async with Collector() as collector`."""

    def __init__(self) -> None:
        super().__init__()
        self.is_refusing = False
        self.refused: list[ReceivedSpan] = []
        """Spans that came and were not taken."""

    @property
    def trace_ids(self) -> set[str]:
        """Of all spans that ever came."""
        return {span.trace_id for span in (*self.spans, *self.refused)}

    async def Export(self, request: Request, context: Any) -> Response:  # noqa: N802 - the service's own name
        if self.is_refusing:
            self.refused += spans_in(request)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the quota of this project is used up")
        return await super().Export(request, context)
