// What every client here is given, and the last line it prints.
import { readFileSync } from "node:fs";

/** `{base, key, events, broken, searches}`: where to go, as whom, what to send. */
export const task = JSON.parse(readFileSync(0, "utf8"));

/** A batch Bundle of events, as the FHIR specification writes it. */
export function batchOf(events) {
  return {
    resourceType: "Bundle",
    type: "batch",
    entry: events.map((resource) => ({
      resource,
      request: { method: "POST", url: "AuditEvent" },
    })),
  };
}

/** Tells the test what was seen. */
export function saw(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}
