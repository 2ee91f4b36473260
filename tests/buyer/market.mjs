// The market as contracts.md and formats.md describe it: the contract's calls and events, and what is
// signed (EIP-712). Written from the documents; no code of the log's.
import { hashStruct, hashTypedData, parseAbi, recoverTypedDataAddress, sha256 } from "viem";

const offerTypes = {
  Terms: [
    { name: "statement", type: "string" },
    { name: "purpose", type: "string" },
    { name: "dataset", type: "bytes32" },
    { name: "salt", type: "bytes32" },
  ],
  Offer: [
    { name: "seller", type: "address" },
    { name: "log", type: "bytes32" },
    { name: "token", type: "address" },
    { name: "price", type: "uint256" },
    { name: "accessS", type: "uint64" },
    { name: "expiresAt", type: "uint64" },
    { name: "epoch", type: "uint64" },
    { name: "terms", type: "Terms" },
  ],
};
const orderTypes = {
  ...offerTypes,
  Order: [
    { name: "offer", type: "Offer" },
    { name: "buyer", type: "address" },
    { name: "recipient", type: "bytes32" },
    { name: "deliverBy", type: "uint64" },
    { name: "grace", type: "uint64" },
    { name: "salt", type: "bytes32" },
  ],
};

export const abi = parseAbi([
  "struct Offer { address seller; bytes32 log; address token; uint256 price; uint64 accessS; uint64 expiresAt; uint64 epoch; bytes32 terms; }",
  "struct Order { Offer offer; address buyer; bytes32 recipient; uint64 deliverBy; uint64 grace; bytes32 salt; }",
  "struct Delivery { bytes32 k; bytes32 eventId; uint64 timeMs; address actor; bytes32 toVersion; bytes32 details; bytes32 place; }",
  "struct Anchor { uint64 number; uint64 size; bytes32 root; uint64 timeS; }",
  "struct Approval { uint64 expiresAt; bytes signature; }",
  "struct Standing { uint8 status; uint64 paidAt; uint64 approvedAt; uint64 endedAt; uint64 revokedAt; }",
  "function buy(Order order, bytes offerSignature) payable returns (bytes32)",
  "function settle(Order order, Delivery delivery, Anchor anchor, uint64 index, bytes32[] path, Approval approval)",
  "function isOpen(Offer offer) view returns (bool)",
  "function standing(bytes32 order) view returns (Standing)",
  "event Settled(bytes32 indexed order, address indexed seller, address indexed buyer, bytes32 k)",
]);

const registryAbi = parseAbi([
  "function controllerOf(address subject) view returns (address)",
  "function freezeOf(address subject) view returns (uint64 frozenUntilS, uint64 freezes)",
]);

/** The states of an order on the chain. */
export const PAID = 1;
export const SETTLED = 2;

/** A document of JSON with whole numbers as the encoder wants them. */
function offerOf({ price, accessS, expiresAt, epoch, ...rest }) {
  const [wei, access, until, of] = [price, accessS, expiresAt, epoch].map(BigInt);
  return { ...rest, price: wei, accessS: access, expiresAt: until, epoch: of };
}

function orderOf({ offer, deliverBy, grace, ...rest }) {
  return { ...rest, offer: offerOf(offer), deliverBy: BigInt(deliverBy), grace: BigInt(grace) };
}

/** As the contract takes it: the terms as their hash. */
function bareOffer(offer) {
  const terms = hashStruct({ data: offer.terms, primaryType: "Terms", types: offerTypes });
  return { ...offerOf(offer), terms };
}

export function bareOrder(order) {
  return { ...orderOf(order), offer: bareOffer(order.offer) };
}

export class Market {
  /** `client` reads and pays (viem); `at` is the contract, `consents` the ConsentRegistry. */
  constructor(client, chainId, at, consents) {
    this.client = client;
    this.at = at;
    this.consents = consents;
    this.domain = { name: "Medtrail", version: "1", chainId, verifyingContract: at };
  }

  offerId(offer) {
    const message = offerOf(offer);
    return hashTypedData({ domain: this.domain, types: offerTypes, primaryType: "Offer", message });
  }

  orderId(order) {
    const message = orderOf(order);
    return hashTypedData({ domain: this.domain, types: orderTypes, primaryType: "Order", message });
  }

  read(functionName, args) {
    return this.client.readContract({ address: this.at, abi, functionName, args });
  }

  async standing(order) {
    return this.read("standing", [order]);
  }

  /** Why an offer is not to be paid for; null: it is. */
  async objection(view, wanted, log) {
    const { offer, dataset, signature } = view;
    if (this.offerId(offer) !== wanted) return "another offer";
    if (sha256(new TextEncoder().encode(dataset)) !== offer.terms.dataset) return "another dataset";
    if (offer.log !== log) return "another log";
    const ask = { address: this.consents, abi: registryAbi, args: [offer.seller] };
    const controller = await this.client.readContract({ ...ask, functionName: "controllerOf" });
    const [frozen] = await this.client.readContract({ ...ask, functionName: "freezeOf" });
    const document = { domain: this.domain, types: offerTypes, primaryType: "Offer" };
    const by = await recoverTypedDataAddress({ ...document, message: offerOf(offer), signature });
    if (by !== controller) return `signed by ${by}, ${controller} acts for the seller`;
    if (frozen !== 0n) return "frozen";
    return (await this.read("isOpen", [bareOffer(offer)])) ? null : "cancelled";
  }

  async #send(functionName, args, value) {
    const { client } = this;
    const request = { address: this.at, abi, functionName, args, value, account: client.account };
    const hash = await client.writeContract((await client.simulateContract(request)).request);
    const receipt = await client.waitForTransactionReceipt({ hash, pollingInterval: 200 });
    if (receipt.status !== "success") throw new Error(`${functionName} failed: ${hash}`);
    return receipt;
  }

  buy(order, signature) {
    return this.#send("buy", [bareOrder(order), signature], BigInt(order.offer.price));
  }

  /** What anybody may do who has the proof and knows k. */
  settle(order, proof, k, approval) {
    const { report, place, anchor, index, path } = proof;
    const delivery = {
      k,
      eventId: report.eventId,
      timeMs: BigInt(report.timeMs),
      actor: report.actor,
      toVersion: report.toVersion,
      details: report.details,
      place: place.hash,
    };
    const under = {
      number: BigInt(anchor.number),
      size: BigInt(anchor.size),
      root: anchor.root,
      timeS: BigInt(anchor.timeS),
    };
    const carried = {
      expiresAt: BigInt(approval?.expiresAt ?? 0),
      signature: approval?.signature ?? "0x",
    };
    const args = [bareOrder(order), delivery, under, BigInt(index), path, carried];
    return this.#send("settle", args);
  }

  /** The `Settled` event of an order in a final block, and what the contract was shown for it. */
  async settled(order, blocks) {
    const finalized = await this.client.getBlock({ blockTag: "finalized" });
    const events = await this.client.getContractEvents({
      address: this.at,
      abi,
      eventName: "Settled",
      args: { order },
      fromBlock: blocks,
      toBlock: finalized.number,
    });
    return events[0] ?? null;
  }
}
