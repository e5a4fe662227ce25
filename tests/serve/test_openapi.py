"""Requests made up from the API's own description: none may break the server, none may get what the description does not promise."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from servers import running, wait_until

# Streams that last until the job does.
LEFT_OUT = {("get", "/api/events"), ("get", "/api/jobs/{job}/events")}
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def operations(server):
    schema = schemathesis.openapi.from_url(f"{server.address}openapi.json")
    return [made.ok() for made in schema.get_all_operations() if (made.ok().method.lower(), made.ok().path) not in LEFT_OUT]


@pytest.mark.slow
def test_no_request_breaks_the_server(shelf, tmp_path):
    with running(tmp_path / "index", str(shelf)) as server:
        wait_until(lambda: server.client().jobs()[0].state == "done")
        try_all(server)


def try_all(server):
    tried = 0
    for operation in operations(server):

        @settings(
            max_examples=25, deadline=None, database=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy())
        def attempt(case):
            nonlocal tried
            tried += 1
            case.call_and_validate(checks=CHECKS, timeout=60)

        attempt()
    assert tried > 300
