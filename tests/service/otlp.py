"""A receiver of spans by OTLP over HTTP: it decodes and keeps the spans of a real exporter."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Received:
    """Spans by their name, in the order of arrival, each with the names of its service and its scope."""

    address: str
    spans: list[tuple[str, str, Span]] = field(default_factory=list)

    def of_trace(self, trace_id: str) -> dict[str, Span]:
        """Spans of one trace by name."""
        return {span.name: span for _, _, span in self.spans if span.trace_id.hex() == trace_id}


@contextmanager
def receiving() -> Iterator[Received]:
    """A receiver on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = {item.key: item.value.string_value for item in resource.resource.attributes}["service.name"]
                for scope in resource.scope_spans:
                    received.spans += [(service, scope.scope.name, span) for span in scope.spans]
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *values: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Received(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()
