// For tests: documents signed by keys that everybody knows, and the server's words about them.
import { secp256k1 } from "@noble/curves/secp256k1";
import { keccak256 } from "viem";
import type { Hex } from "../ledger";
import { documentId, render, type Document, type Grant, type Registries } from "../permit";

export const NOW = Date.parse("2026-11-22T12:32:00Z");
export const [MARI_KEY, KADRI_KEY, OTHER_KEY] = [7, 8, 9].map((byte) => new Uint8Array(32).fill(byte)) as [Uint8Array, Uint8Array, Uint8Array];
export const addressOf = (key: Uint8Array): Hex => `0x${keccak256(secp256k1.getPublicKey(key, false).slice(1)).slice(26)}`;
export const [MARI, KADRI, OTHER] = [MARI_KEY, KADRI_KEY, OTHER_KEY].map(addressOf) as [Hex, Hex, Hex];
export const CLINIC: Hex = `0x${"c1".repeat(20)}`;
export const REGISTRIES: Registries = { chainId: 31338, consentRegistry: `0x${"c0".repeat(20)}`, anchorRegistry: `0x${"a0".repeat(20)}` };

export function grantFields(change: Partial<Grant> = {}): Grant {
  const fields = {
    statement: "", subject: MARI, grantee: CLINIC, scopes: "patient/Observation.rs", purposes: "TREAT", epoch: 0,
    expiresAt: NOW / 1000 + 86_400 * 30, salt: `0x${"51".repeat(32)}` as Hex, ...change,
  };
  return { ...fields, statement: change.statement ?? render({ grant: fields }, "en") ?? "" };
}

export const grant = (change: Partial<Grant> = {}): Document => ({ grant: grantFields(change) });

export function sign(document: Document, key: Uint8Array, registries: Registries = REGISTRIES): Hex {
  const signature = secp256k1.sign(documentId(document, registries).slice(2), key);
  return `0x${signature.toCompactHex()}${signature.recovery === 0 ? "1b" : "1c"}`;
}

/** How the server tells of a document. */
export function told(document: Document, change: object = {}, key: Uint8Array = MARI_KEY) {
  return {
    id: documentId(document, REGISTRIES), index: 5, receivedMs: NOW - 60_000, document, signature: sign(document, key) as Hex | null,
    state: "standing", revokedMs: null, onChain: null, ...change,
  };
}

export function answer(permissions: readonly unknown[], change: object = {}) {
  return {
    version: "medtrail/permissions-v1", subject: `0x${MARI.slice(2).padStart(64, "0")}`, controller: MARI, epoch: 0, permissions,
    chain: "read", ...change,
  };
}
