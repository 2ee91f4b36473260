#!/usr/bin/env node
// What AnchorRegistry costs, read from the receipts of real transactions: `node anvil/gas.mjs`.
// Trees have equal leaves, so that a tree of any size is a few hashes; their proofs are real.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { binary, startAnvil } from "./foundry.mjs";

const ZERO = `0x${"00".repeat(32)}`;
const COMMITMENT = `0x${"11".repeat(32)}`;
const { bytecode } = JSON.parse(readFileSync(new URL("../abi/AnchorRegistry.json", import.meta.url)));
const hardfork = /^evm_version = "(\w+)"/m.exec(readFileSync(new URL("../foundry.toml", import.meta.url), "utf8"))[1];

const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const node = (left, right) => sha256(Buffer.of(1), left, right);
const hex = (bytes) => `0x${bytes.toString("hex")}`;

const perfect = [sha256(Buffer.of(0), Buffer.from(COMMITMENT.slice(2), "hex"))];
while (perfect.length < 41) perfect.push(node(perfect.at(-1), perfect.at(-1)));

/** The largest power of two below n. */
const split = (n) => 2 ** (Math.ceil(Math.log2(n)) - 1);
const root = (n) =>
  Number.isInteger(Math.log2(n)) ? perfect[Math.log2(n)] : node(root(split(n)), root(n - split(n)));

function consistency(m, n, isOldTree = true) {
  if (m === n) return isOldTree ? [] : [root(n)];
  const k = split(n);
  return m <= k
    ? [...consistency(m, k, isOldTree), root(n - k)]
    : [...consistency(m - k, n - k, false), root(k)];
}

function inclusion(index, n) {
  if (n === 1) return [];
  const k = split(n);
  return index < k ? [...inclusion(index, k), root(n - k)] : [...inclusion(index - k, n - k), root(k)];
}

const chain = await startAnvil("--hardfork", hardfork);
const [operator, coldKey] = await chain.rpc("eth_accounts");

async function gasOf(to, data) {
  const receipt = await chain.rpc("eth_sendTransactionSync", { from: operator, to, data, gas: "0x1000000" });
  if (receipt.status !== "0x1") throw new Error(`reverted: ${data.slice(0, 10)}`);
  return { gas: Number(receipt.gasUsed), receipt };
}

const calldata = (signature, ...args) =>
  execFileSync(binary("cast"), ["calldata", signature, ...args.map(String)], { encoding: "utf8" }).trim();

const ANCHOR = "(uint64,uint64,bytes32,uint64)";
const tuple = ({ number, size, root, timeS }) => `(${number},${size},${hex(root)},${timeS})`;
const list = (hashes) => `[${hashes.map(hex).join(",")}]`;

const { gas: deployed, receipt } = await gasOf(undefined, bytecode);
const registry = receipt.contractAddress;

class Log {
  head = { number: 0, size: 0, root: Buffer.alloc(32), timeS: 0 };

  static async open(origin) {
    const log = new Log();
    log.opened = (await gasOf(registry, calldata("open(string,address,bytes32,uint32)", origin, coldKey, COMMITMENT, 600))).gas;
    log.id = await chain.rpc(
      "eth_call", { to: registry, data: calldata("logOf(address,string)", operator, origin) }, "latest",
    );
    return log;
  }

  async anchor(size) {
    const proof = this.head.number === 0 ? [] : consistency(this.head.size, size);
    const data = calldata(
      `anchor(bytes32,${ANCHOR},uint64,bytes32,bytes32[])`, this.id, tuple(this.head), size, hex(root(size)), list(proof),
    );
    const { gas, receipt } = await gasOf(registry, data);
    const block = await chain.rpc("eth_getBlockByHash", receipt.blockHash, false);
    this.head = { number: this.head.number + 1, size, root: root(size), timeS: Number(block.timestamp) };
    return gas;
  }

  async included(index) {
    const proof = list(inclusion(index, this.head.size));
    return (await gasOf(registry, calldata(
      `included(bytes32,${ANCHOR},uint64,bytes32,bytes32[])`, this.id, tuple(this.head), index, COMMITMENT, proof,
    ))).gas;
  }
}

const rows = [["deploy", deployed]];
const whole = (n) => n.toLocaleString("en");
const summary = (costs) => {
  const mean = costs.reduce((sum, gas) => sum + gas, 0) / costs.length;
  return `${whole(Math.round(mean))} mean, ${whole(Math.min(...costs))} to ${whole(Math.max(...costs))}`;
};

/** Anchors until the log has `start` leaves and a full ring, then `count` times `batch` more. */
async function sequence(start, batch, count) {
  const log = await Log.open(`${start}/${batch}`);
  const cold = [];
  const stride = Math.min(2 ** 26, Math.floor(start / 2));
  for (let size = stride; size < start - 64 * batch; size += stride) cold.push(await log.anchor(size));
  while (log.head.number < 64) cold.push(await log.anchor(start - (64 - log.head.number - 1) * batch));
  const warm = [];
  for (let i = 1; i <= count; ++i) warm.push(await log.anchor(start + i * batch));
  return { log, cold, warm };
}

const million = await sequence(2 ** 20, 1_000, 200);
rows.push(["open a log", million.log.opened]);
rows.push(["anchor, first of a log", million.cold[0]]);
rows.push(["anchor, 2nd to 64th, up to 2^20 leaves, 1,000 at a time", summary(million.cold.slice(1))]);
rows.push(["anchor, later, from 2^20 leaves, 1,000 at a time", summary(million.warm)]);
rows.push(["anchor, later, from 2^20 leaves, 10,000 at a time", summary((await sequence(2 ** 20, 10_000, 100)).warm)]);
const billion = await sequence(2 ** 30, 100_000, 100);
rows.push(["anchor, later, from 2^30 leaves, 100,000 at a time", summary(billion.warm)]);

// The longest walk: the old tree's last leaf stands alone, and every level above has a left neighbour to hash twice.
async function worst(size) {
  const log = await Log.open(`worst/${size}`);
  for (let i = 64; i > 0; --i) await log.anchor(size - 1 - 2 * (i - 1));
  return log.anchor(size);
}
rows.push(["anchor, later, worst at 2^20 leaves", await worst(2 ** 20)]);

const log = await Log.open("depth 20");
await log.anchor(2 ** 20);
rows.push(["`included`, 2^20 leaves, as a transaction", await log.included(777_777)]);

console.log(`| transaction, \`${hardfork}\` | gas |\n|---|---|`);
for (const [what, gas] of rows) console.log(`| ${what} | ${typeof gas === "number" ? whole(gas) : gas} |`);
