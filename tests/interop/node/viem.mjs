// The npm package viem signs reports with a key of its own, from the structs as they are
// documented, and sends them.
import { readFileSync } from "node:fs";
import { hexToBytes, keccak256, sha256, stringToBytes } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const task = JSON.parse(readFileSync(0, "utf8"));
const account = privateKeyToAccount(task.secret);

const types = {
  Report: [
    { name: "log", type: "bytes32" },
    { name: "eventId", type: "bytes32" },
    { name: "kind", type: "uint8" },
    { name: "action", type: "uint8" },
    { name: "timeMs", type: "uint64" },
    { name: "subject", type: "bytes32" },
    { name: "actor", type: "address" },
    { name: "record", type: "bytes32" },
    { name: "fromVersion", type: "bytes32" },
    { name: "toVersion", type: "bytes32" },
    { name: "permission", type: "bytes32" },
    { name: "details", type: "bytes32" },
  ],
};
const domain = {
  name: "Medtrail",
  version: "1",
  chainId: task.chainId,
  verifyingContract: task.registry,
};
const zero = `0x${"00".repeat(32)}`;
const details = JSON.stringify({ resourceType: "AuditEvent", action: "R", id: "viem-1" });
const report = {
  log: task.log,
  eventId: keccak256(stringToBytes("an event of a stranger")),
  kind: 1,
  action: "R".charCodeAt(0),
  timeMs: 1_770_000_000_000,
  subject: task.subject,
  actor: account.address,
  record: zero,
  fromVersion: zero,
  toVersion: zero,
  permission: zero,
  details: sha256(stringToBytes(details)),
};
const signature = await account.signTypedData({
  domain,
  types,
  primaryType: "Report",
  message: { ...report, timeMs: BigInt(report.timeMs) },
});

async function send(report, details, signature) {
  // The details stand in the body as the very text that was hashed.
  const body = `{"report":${JSON.stringify(report)},"details":${details},"signature":"${signature}"}`;
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${task.url}/v1/reports`, { method: "POST", headers, body });
  return { status: answer.status, body: await answer.json() };
}

const flipped = hexToBytes(signature);
flipped[7] ^= 1;
const otherSignature = `0x${Buffer.from(flipped).toString("hex")}`;
const changed = [
  await send({ ...report, timeMs: report.timeMs + 1 }, details, signature),
  await send(report, details.replace("viem-1", "viem-2"), signature),
  await send(report, details, otherSignature),
];
const taken = await send(report, details, signature);
process.stdout.write(`${JSON.stringify({ address: account.address, taken, changed })}\n`);
