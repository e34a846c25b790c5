"""What the proof adds to schemathesis: it counts, and it makes what no generator can make."""

import atexit
import itertools
import json
import os
from collections import Counter

import schemathesis
from schemathesis import cli
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import Status, events

cases = 0
operations = set()
failures = Counter()
counter = itertools.count()


@schemathesis.hook
def before_call(ctx, case, kwargs):
    # A key that comes again with another body is refused, as it must be. Generated keys are short and come again, so
    # sound ones are made different; keys that are no keys stay as they are.
    headers = case.headers or {}
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and 1 <= len(key) <= 240 and all("!" <= letter <= "~" for letter in key):
        headers["Idempotency-Key"] = f"{key}-{next(counter)}"
    # A cursor is signed, so a sound one cannot be made up. Those that are to be refused stay as they are.
    meta = case.meta and case.meta.components.get(ParameterLocation.QUERY)
    if meta is None or meta.mode.is_positive:
        (case.query or {}).pop("cursor", None)


@schemathesis.serializer("text/csv")
def csv(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@cli.handler()
class Counting(cli.EventHandler):
    def handle_event(self, ctx, event):
        global cases
        if isinstance(event, events.NonFatalError):
            failures[f"error: {event.label}: {event.value}"] += 1
        if not isinstance(event, events.ScenarioFinished):
            return
        recorder = event.recorder
        cases += len(recorder.interactions)
        for case_id, checks in recorder.checks.items():
            label = recorder.cases[case_id].value.operation.label
            operations.add(label)
            for check in checks:
                if check.status == Status.FAILURE:
                    failures[f"{check.name}: {label}"] += 1


@atexit.register
def write():
    figures = {"operations": len(operations), "cases": cases, "failures": failures}
    with open(os.environ["CONTRACT_FIGURES"], "w") as file:
        json.dump(figures, file)
