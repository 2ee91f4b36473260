// For tests: the shared vectors and fixtures, and a chain that holds what the fixture proof is about.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { toEventSelector, toFunctionSelector } from "viem/utils";
import { reader, type Ask, type ChainReader } from "./chain";
import { parseProof, parseTrust } from "./parse";
import type { Anchor, AnchorClaim, Hex, Proof, TrustFile } from "./types";

const REPOSITORY = join(import.meta.dirname, "../../../../..");

export function repositoryFile(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(REPOSITORY, path)));
}

export function vectors<T>(name: string): T {
  return JSON.parse(new TextDecoder().decode(repositoryFile(`tests/vectors/${name}.json`))) as T;
}

export const PROOF_BYTES = repositoryFile("tests/data/formats/proof-v1.json");
export const RECEIPT_BYTES = repositoryFile("tests/data/formats/receipt-v1.json");
export const TRUST_BYTES = repositoryFile("tests/data/formats/trust-v1.json");

export const fixture = (): Proof => parseProof(PROOF_BYTES);
export const fixtureTrust = (): Promise<TrustFile> => parseTrust(TRUST_BYTES);

/** What a node has: the claim of the fixture, as an event in a block. */
export interface FakeChain {
  chainId: number;
  code: Hex;
  claim: AnchorClaim;
  operator: Hex;
  noteKey: Hex;
  latest: number;
  finalized: number | null;
  anchors: number;
  /** Anchors the ring holds. */
  living: Anchor[];
}

export async function fakeChain(): Promise<FakeChain> {
  const { anchor: claim, extension } = fixture();
  const { operator } = await fixtureTrust();
  const key = Buffer.from(operator.noteKey.split("+").slice(2).join("+"), "base64").subarray(1);
  return {
    chainId: claim.chainId, code: "0x60", claim, operator: operator.keys[0]?.address ?? "0x",
    noteKey: `0x${key.toString("hex")}`, latest: claim.block + 100, finalized: claim.block + 50, anchors: claim.number,
    living: extension === undefined ? [] : [extension.anchor],
  };
}

const word = (value: number | bigint | Hex | boolean): string => BigInt(value).toString(16).padStart(64, "0");

/** Answers as a node would, from the ABI as viem reads it and not from the code under test. */
export function fakeNode(chain: FakeChain): Ask {
  const { claim } = chain;
  const inRing = (data: string) =>
    chain.living.some(({ number, size, root, timeS }) => data === [number, size, root, timeS].map(word).join(""));
  const calls: Record<string, (data: string) => string> = {
    [toFunctionSelector("logInfo(bytes32)")]: () =>
      [1, chain.noteKey, 3_600, false, 0, 0, 0].map(word).join(""),
    [toFunctionSelector("head(bytes32)")]: () =>
      [chain.operator, claim.size, claim.timeS, chain.anchors].map(word).join(""),
    [toFunctionSelector("living(bytes32,(uint64,uint64,bytes32,uint64))")]: (data) => word(inRing(data)),
  };
  return async (method, params) => {
    const [first] = params as [Record<string, string> & string];
    switch (method) {
      case "eth_chainId":
        return `0x${chain.chainId.toString(16)}`;
      case "eth_getCode":
        return first === claim.registry ? chain.code : "0x";
      case "eth_getBlockByNumber": {
        const number = first === "finalized" ? chain.finalized : chain.latest;
        return number === null ? null : { number: `0x${number.toString(16)}` };
      }
      case "eth_call": {
        const answer = calls[String(first.data).slice(0, 10)];
        if (answer === undefined) throw new Error(`no such function: ${first.data}`);
        const isOurLog = String(first.data).slice(10, 74) === claim.log.slice(2);
        const words = answer(String(first.data).slice(74));
        return `0x${isOurLog ? words : words.replace(/[^0]/g, "0")}`;
      }
      case "eth_getLogs": {
        const topics = (first as unknown as { topics: (Hex | null)[] }).topics;
        const anchored = toEventSelector("Anchored(bytes32,address,uint64,uint64,bytes32,uint64)");
        const held: Hex[] = [anchored, claim.log, `0x${word(chain.operator)}`, `0x${word(claim.number)}`];
        const fits = held.every((topic, place) => topics[place] === null || topics[place] === topic);
        const block = `0x${claim.block.toString(16)}`;
        if (!fits || first.address !== claim.registry || first.fromBlock !== block || first.toBlock !== block) return [];
        const data = `0x${word(claim.size)}${claim.root.slice(2)}${word(claim.timeS)}`;
        return [{
          address: claim.registry, topics: held, data, transactionHash: claim.tx, blockNumber: block, removed: false,
        }];
      }
      default:
        throw new Error(`not asked by a verifier: ${method}`);
    }
  };
}

export const fakeReader = (chain: FakeChain): ChainReader => reader(fakeNode(chain));
