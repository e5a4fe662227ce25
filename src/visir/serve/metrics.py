"""What a server counts, for Prometheus."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "visir_request_seconds",
            "Time to the end of an answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.answers = Counter("visir_requests_total", "Requests by status.", ("method", "route", "status"), registry=self.registry)
        self.batches = Histogram(
            "visir_query_batch_size", "Query embeddings computed at once.", buckets=(1, 2, 4, 8, 16, 32), registry=self.registry
        )

    def gauge(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Show a number that is read whenever somebody asks."""
        Gauge(name, about, registry=self.registry).set_function(read)

    def text(self) -> bytes:
        """Return all numbers as Prometheus reads them."""
        return generate_latest(self.registry)


class Measured:
    """A layer that times requests; streams of events are left out, since they last as long as somebody watches."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            # The template of the route, never the path: paths would make a label for every document.
            route = getattr(scope.get("route"), "path", "") or "none"
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS") else "other"
            self._metrics.answers.labels(method, route, str(status)).inc()
            if not route.endswith("/events"):
                self._metrics.seconds.labels(method, route).observe(time.perf_counter() - started)
