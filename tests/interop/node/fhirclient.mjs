// The npm package fhirclient, the SMART project's own.
import smart from "fhirclient";
import { batchOf, saw, task } from "./task.mjs";

const storage = { get: async () => undefined, set: async (_, value) => value, unset: async () => true };
const client = smart({ headers: {} }, {}, storage).client({
  serverUrl: task.base,
  tokenResponse: { access_token: task.key, token_type: "bearer" },
});

const statement = await client.request("metadata");

const [first, second, ...others] = task.events;
const created = [];
for (const event of [first, second]) {
  const { response } = await client.create(event, { includeResponse: true });
  created.push(response.headers.get("location"));
}
const answer = await client.request({
  url: "",
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(batchOf(others)),
});
const batched = answer.entry.map((entry) => entry.response);

let pages = [];
if (task.searches) {
  const bundles = await client.request("AuditEvent?patient=Patient/p1&_count=2", { pageLimit: 0 });
  pages = bundles.map((bundle) => (bundle.entry ?? []).map((entry) => entry.resource));
}

let refusal = null;
try {
  await client.create(task.broken);
} catch (error) {
  refusal = { status: error.status ?? error.statusCode, message: error.message };
}
saw({ statement, created, batched, pages, refusal });
