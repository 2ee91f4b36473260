// The npm package fhir-kit-client, as its own documentation uses it.
import { Client } from "fhir-kit-client";
import { batchOf, saw, task } from "./task.mjs";

const client = new Client({ baseUrl: task.base, bearerToken: task.key });

const statement = await client.capabilityStatement();
const smart = task.searches ? await client.smartAuthMetadata() : null;

const [first, second, ...others] = task.events;
const created = [];
for (const body of [first, second]) {
  const resource = await client.create({ resourceType: "AuditEvent", body });
  created.push(Client.httpFor(resource).response.headers.get("location"));
}
const answer = await client.batch({ body: batchOf(others) });
const batched = answer.entry.map((entry) => entry.response);

const pages = [];
if (task.searches) {
  const searchParams = { patient: "Patient/p1", _count: 2, date: ["ge2020-01-01", "le2100-01-01"] };
  let bundle = await client.search({ resourceType: "AuditEvent", searchParams });
  while (bundle) {
    pages.push((bundle.entry ?? []).map((entry) => entry.resource));
    bundle = await client.nextPage({ bundle });
  }
}

let refusal = null;
try {
  await client.create({ resourceType: "AuditEvent", body: task.broken });
} catch (error) {
  refusal = { status: error.response.status, outcome: error.response.data };
}
saw({ statement, smart: smart !== null, created, batched, pages, refusal });
