"""The PyPI package fhir.resources reads every event that a log serves."""

import json
import sys

import requests
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement

task = json.load(sys.stdin)
session = requests.Session()
session.headers["Authorization"] = f"Bearer {task['key']}"


def get(url):
    answer = session.get(url, headers={"Accept": "application/fhir+json"})
    answer.raise_for_status()
    return answer.text


CapabilityStatement.model_validate_json(get(f"{task['base']}/metadata"))
for location in task["locations"]:
    AuditEvent.model_validate_json(get(f"{task['base']}/AuditEvent/{location}"))
searched = 0
for patient in task["patients"]:
    url = f"{task['base']}/AuditEvent?_count=3&patient={requests.utils.quote(patient, safe='')}"
    while url:
        bundle = Bundle.model_validate_json(get(url))
        searched += len(bundle.entry or [])
        url = next((link.url for link in bundle.link if link.relation == "next"), None)
print(json.dumps({"read": len(task["locations"]), "searched": searched}))
