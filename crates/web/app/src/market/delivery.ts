// A delivery, checked on the buyer's device: the entry is of this order, the file is the one that it names, the key that the
// chain shows opens it, and what is in it is what the manifest says. As verify.rs in crates/market has it.
import { isHex, textOf, utf8, documentBytes } from "../ledger/bytes";
import { sha256 } from "../ledger/merkle";
import { parseProof } from "../ledger/parse";
import type { Hex, Proof } from "../ledger/types";
import { datasetId } from "../permit/dataset";
import type { SaleView } from "../sales/api";
import { secretText } from "./age-key";
import { manifestOf, MANIFEST_BYTES_MAX, type Listed, type Manifest } from "./manifest";
import { Archive, ArchiveError } from "./tar";

/** What is not as it was ordered. */
export type Fault =
  | "proof" | "entry" | "details" | "file" | "key" | "recipient" | "seal" | "archive" | "manifest" | "otherManifest" | "order" | "dataset"
  | "content" | "tooLong"
  // Of a call to many.
  | "entries" | "call" | "consent" | "notEntered" | "notInFile";

export class DeliveryError extends Error {
  constructor(readonly fault: Fault, message = fault as string) {
    super(message);
    this.name = "DeliveryError";
  }
}

const DELIVERY = 6;
const EXECUTE = 69;

/** What the log says of a delivery. */
export interface Logged {
  readonly lock: Hex;
  readonly file: Hex;
  readonly manifest: Hex;
  readonly index: number;
}

/** SHA-256 by the browser: a delivery may be many megabytes. */
export async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<Hex> {
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `0x${Array.from(sum, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** The details of a delivery, in their one spelling. */
function manifestIn(bytes: Uint8Array): Hex | null {
  const [, random, manifest] = /^\{"version":"medtrail\/delivery-v1","random":"(0x[0-9a-f]{64})","manifest":"(0x[0-9a-f]{64})"\}$/.exec(textOf(bytes) ?? "") ?? [];
  return random !== undefined && isHex(manifest, 32) ? manifest : null;
}

/** What a proof's entry says of a delivery. That it stands in an anchored log is another check. */
export interface Entered extends Logged {
  /** The order, or the acceptance of a call to many. */
  readonly of: Hex;
  readonly subject: Hex;
}

export const subjectOf = (seller: Hex): Hex => `0x${seller.slice(2).padStart(64, "0")}`;

export function enteredIn(proofText: string, log: Hex): Entered {
  let proof: Proof;
  try {
    proof = parseProof(utf8(proofText));
  } catch (cause) {
    throw new DeliveryError("proof", String(cause));
  }
  const { report, details, index } = proof;
  if (report.log !== log || report.kind !== DELIVERY || report.action !== EXECUTE || report.record !== report.permission) throw new DeliveryError("entry");
  const bytes = details && documentBytes(details);
  const manifest = bytes && sha256(bytes) === report.details ? manifestIn(bytes) : null;
  if (manifest === null) throw new DeliveryError("details");
  return { lock: report.fromVersion, file: report.toVersion, manifest, index, of: report.record, subject: report.subject };
}

/** What the proof's entry says, if it is that of the delivery of this order. */
export function loggedIn(proofText: string, { id, order }: Pick<SaleView, "id" | "order">): Logged {
  const { of, subject, ...logged } = enteredIn(proofText, order.offer.log);
  if (of !== id || subject !== subjectOf(order.offer.seller)) throw new DeliveryError("entry");
  return logged;
}

/** Whether `k`, as the chain shows it, is what the entry locked the file with. */
export const isKey = (k: Hex, { lock }: Pick<Logged, "lock">): boolean =>
  sha256(Uint8Array.from(k.slice(2).match(/../g) ?? [], (byte) => parseInt(byte, 16))) === lock;

/** Told while it goes on: how much of the whole. */
export type OnProgress = (done: number, all: number) => void;

/** A stream of bytes that tells how far it was read. */
function streamOf(bytes: Uint8Array, onprogress: OnProgress): ReadableStream<Uint8Array> {
  const STEP = 256 << 10;
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, (at += STEP)));
      onprogress(Math.min(at, bytes.length), bytes.length);
    },
  });
}

async function collect(stream: ReadableStream<Uint8Array>, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    bytes += part.value.length;
    if (bytes > bytesMax) {
      await reader.cancel();
      throw new DeliveryError("tooLong");
    }
    parts.push(part.value);
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Takes both seals off: the outer with what the chain shows, the inner with the buyer's own key. */
export async function unsealed(file: Uint8Array, k: Uint8Array, secrets: readonly string[], onprogress: OnProgress = () => {}): Promise<Uint8Array<ArrayBuffer>> {
  // The library is large, and only who opens a delivery needs it.
  const { Decrypter } = await import("age-encryption");
  const [outer, inner] = [new Decrypter(), new Decrypter()];
  outer.addIdentity(secretText(k));
  for (const secret of secrets) inner.addIdentity(secret);
  const opened = async (decrypter: InstanceType<typeof Decrypter>, stream: ReadableStream<Uint8Array>, fault: Fault) => {
    try {
      return await decrypter.decrypt(stream);
    } catch (cause) {
      throw new DeliveryError(fault, String(cause));
    }
  };
  const first = await opened(outer, streamOf(file, onprogress), "key");
  const second = await opened(inner, first, "recipient");
  try {
    return await collect(second, file.length);
  } catch (cause) {
    throw cause instanceof DeliveryError ? cause : new DeliveryError("seal", String(cause));
  }
}

/** What was delivered: every file is what the manifest says, and the manifest is the one that the log names. */
export interface Contents<M extends Listed = Manifest> {
  readonly manifest: M;
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

export function contentsOf(plain: Uint8Array<ArrayBuffer>, logged: Logged, { id, order, dataset }: Pick<SaleView, "id" | "order" | "dataset">): Promise<Contents> {
  return unpacked(plain, logged, manifestOf, (manifest) => {
    if (manifest.order !== id) throw new DeliveryError("order");
    if (manifest.dataset !== order.offer.terms.dataset || (dataset !== null && manifest.dataset !== datasetId(dataset))) throw new DeliveryError("dataset");
  });
}

/** Takes an archive apart, of one seller or of many. `check` throws where the manifest is not of what was bought. */
export async function unpacked<M extends Listed>(
  plain: Uint8Array<ArrayBuffer>, logged: Pick<Logged, "manifest">, read: (bytes: Uint8Array) => M | null, check: (manifest: M) => void,
): Promise<Contents<M>> {
  try {
    const archive = new Archive(plain);
    const told = archive.manifest(MANIFEST_BYTES_MAX).slice();
    if (await hashOf(told) !== logged.manifest) throw new DeliveryError("otherManifest");
    const manifest = read(told);
    if (manifest === null) throw new DeliveryError("manifest");
    check(manifest);
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    for (const { path, hash, bytes } of manifest.files) {
      const file = archive.file(path, bytes).slice();
      if (await hashOf(file) !== hash) throw new DeliveryError("content", path);
      files.set(path, file);
    }
    archive.end();
    return { manifest, files };
  } catch (cause) {
    throw cause instanceof ArchiveError ? new DeliveryError("archive", cause.message) : cause;
  }
}
