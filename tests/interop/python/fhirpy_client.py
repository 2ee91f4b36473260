"""The PyPI package fhirpy, as its own documentation uses it."""

import json
import sys

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome

task = json.load(sys.stdin)
client = SyncFHIRClient(task["base"], authorization=f"Bearer {task['key']}")


def resource_of(event):
    # A resource with an id would be put, not posted.
    members = {key: event[key] for key in event if key not in ("id", "resourceType")}
    return client.resource("AuditEvent", **members)


statement = client.execute("metadata", method="get")

first, second, *others = task["events"]
created = []
for event in (first, second):
    resource = resource_of(event)
    resource.save()
    created.append(resource.serialize())

entries = [{"resource": event, "request": {"method": "POST", "url": "AuditEvent"}} for event in others]
bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
answer = client.execute("", method="post", data=bundle)
batched = [entry["response"] for entry in answer["entry"]]

found = []
if task["searches"]:
    events = client.resources("AuditEvent").search(patient="Patient/p1").limit(2)
    found = [event.serialize() for event in events.fetch_all()]

refusal = None
try:
    resource_of(task["broken"]).save()
except OperationOutcome as outcome:
    refusal = {"outcome": outcome.resource}

seen = {
    "statement": statement,
    "created": created,
    "batched": batched,
    "found": found,
    "refusal": refusal,
}
print(json.dumps(seen))
