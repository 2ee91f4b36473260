// A buyer with none of the log's code: viem for the chain, typage for the seals. Reads a task from its
// standard input, tells what it saw on its last line.
//
// {"act":"buy", …}: checks an offer, pays, waits until the seller was paid, downloads in two parts,
// opens and checks. {"act":"settle", …}: carries a settlement itself, as anybody may. {"act":"open", …}:
// only opens and checks what is settled.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import {
  bytesToHex,
  createWalletClient,
  decodeFunctionData,
  defineChain,
  http,
  publicActions,
  sha256,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { abi, Market, PAID, SETTLED } from "./market.mjs";
import { open, recipientBytes } from "./open.mjs";
import { read, Service } from "./service.mjs";

const task = JSON.parse(readFileSync(0, "utf8"));
const account = privateKeyToAccount(task.secret);
const chain = defineChain({
  id: task.chainId,
  name: "task",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [task.rpc] } },
});
const client = createWalletClient({ account, chain, transport: http(task.rpc) }).extend(publicActions);
const market = new Market(client, task.chainId, task.market, task.consents);

/** Asks until there is an answer. */
async function until(what, ask) {
  const end = Date.now() + task.patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (Date.now() > end) throw new Error(`no ${what} in ${task.patienceMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

/** Waits for the money to reach the seller, and reads the key and what the contract was shown. */
async function paidOut(orderId, blocks) {
  const event = await until("final settlement", () => market.settled(orderId, blocks));
  const transaction = await client.getTransaction({ hash: event.transactionHash });
  const isDirect = transaction.to?.toLowerCase() === task.market.toLowerCase();
  const call = isDirect ? decodeFunctionData({ abi, data: transaction.input }) : null;
  return { k: event.args.k, shown: call === null ? null : call.args[1] };
}

function told({ manifest, files }, more) {
  const of = ([name, bytes]) => [name, { bytes: bytes.length, sha256: sha256(bytes) }];
  return { records: manifest.records.length, files: Object.fromEntries([...files].map(of)), ...more };
}

async function buy() {
  const service = new Service(task.url, account);
  await service.signIn();
  const view = await service.get(`/v1/offers/${task.offer}`);
  const objection = await market.objection(view, task.offer, task.log);
  if (objection !== null) throw new Error(`not paid: ${objection}`);

  const identity = await generateX25519Identity();
  const head = await client.getBlock();
  const order = {
    offer: view.offer,
    buyer: account.address,
    recipient: recipientBytes(await identityToRecipient(identity)),
    deliverBy: Number(head.timestamp) + task.deliverWithinS,
    grace: task.graceS,
    salt: bytesToHex(crypto.getRandomValues(new Uint8Array(32))),
  };
  const orderId = market.orderId(order);
  const before = await client.getBalance({ address: account.address });
  const receipt = await market.buy(order, view.signature);
  if ((await market.standing(orderId)).status !== PAID) throw new Error("not paid");
  const gas = receipt.gasUsed * receipt.effectiveGasPrice;
  const after = await client.getBalance({ address: account.address });
  const spent = before - after - gas;
  // Before its last line: whoever runs this approves it meanwhile.
  process.stdout.write(`${JSON.stringify({ order: orderId })}\n`);

  await service.post("/v1/sales", { order });
  const sale = await until("delivery", async () => {
    const sale = await service.get(`/v1/sales/${orderId}`);
    if (["over", "refunded"].includes(sale.state)) throw new Error(`${sale.state}: ${sale.refusal}`);
    return ["delivered", "settling", "settled"].includes(sale.state) ? sale : null;
  });
  const file = join(task.folder, "delivery.age");
  const [path, tag] = [`/v1/sales/${orderId}/delivery`, sale.delivery.file.slice(2)];
  const parts = [
    await service.download(path, file, tag, Math.floor(sale.delivery.bytes / 2)),
    await service.download(path, file, tag),
  ];
  const { k, shown } = await paidOut(orderId, receipt.blockNumber);
  const proof = JSON.parse(
    await until("proof", async () => {
      const is = await service.find(`/v1/sales/${orderId}/proof`);
      return is === null ? null : service.text(`/v1/sales/${orderId}/proof`);
    }),
  );
  const opened = await open({ bytes: read(file), order, orderId, proof, k, identity, shown });
  return told(opened, { order: orderId, spent: `${spent}`, gas: `${gas}`, parts });
}

function inFolder() {
  const json = (name) => JSON.parse(readFileSync(join(task.folder, name), "utf8"));
  const [order, proof] = [json("order.json"), json("proof.json")];
  return { order, proof, orderId: market.orderId(order), bytes: read(join(task.folder, "delivery.age")) };
}

async function opened() {
  const given = inFolder();
  const { k, shown } = await paidOut(given.orderId, 0n);
  return told(await open({ ...given, k, shown, identity: task.identity }), { order: given.orderId });
}

async function settle() {
  const { order, proof, orderId } = inFolder();
  const receipt = await market.settle(order, proof, task.k, task.approval);
  const { status } = await market.standing(orderId);
  if (status !== SETTLED) throw new Error(`not settled: ${status}`);
  return { order: orderId, gas: Number(receipt.gasUsed) };
}

const acts = { buy, open: opened, settle };
process.stdout.write(`${JSON.stringify(await acts[task.act]())}\n`);
