"""What the proof adds to schemathesis: it counts, and it makes what no generator can make."""

import atexit
import itertools
import json
import os
import re
from collections import Counter

import schemathesis
from schemathesis import cli
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import Status, events

cases = 0
operations = set()
failures = Counter()
counter = itertools.count()
ids = re.compile("[a-z]+_[0-9a-f]{32}")
# Ids of labels and members that are there.
there = set()


@schemathesis.hook
def before_call(ctx, case, kwargs):
    # A key that comes again with another body is refused, as it must be. Generated keys are short and come again, so
    # sound ones are made different; keys that are no keys stay as they are.
    headers = case.headers or {}
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and 1 <= len(key) <= 240 and all("!" <= letter <= "~" for letter in key):
        headers["Idempotency-Key"] = f"{key}-{next(counter)}"
    # A cursor is signed, so a sound one cannot be made up. Those that are to be refused stay as they are.
    if is_sound(case, ParameterLocation.QUERY) and case.query:
        case.query.pop("cursor", None)
        # The document says that an id is not nil; the generator of the coverage phase does not look at `not`.
        for name in [name for name, value in case.query.items() if str(value).endswith("_" + "0" * 32)]:
            del case.query[name]
    # A body that names a label or a member who is not there is refused with 422. Who is there, no schema can say.
    if is_sound(case, ParameterLocation.BODY) and isinstance(case.body, dict):
        if isinstance(case.body.get("labels"), list):
            case.body["labels"] = [label for label in case.body["labels"] if label in there]
        if case.body.get("assignee") and case.body["assignee"] not in there:
            case.body["assignee"] = None


def is_sound(case, place):
    if case.meta is None or case.meta.generation.mode.is_positive:
        return True
    part = case.meta.components.get(place)
    return part is None or part.mode.is_positive


@schemathesis.hook
def after_call(ctx, case, response):
    if not 200 <= response.status_code < 300:
        return
    if case.method.upper() == "DELETE":
        there.difference_update((case.path_parameters or {}).values())
    # Elsewhere people are named who have left: in the history, in the audit log.
    elif re.search("/(labels|members)\\b", case.operation.path):
        there.update(ids.findall(response.text))


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
