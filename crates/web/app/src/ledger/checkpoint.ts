// Checkpoints: a head of the log as a signed note, signed twice: for every transparency-log tool (Ed25519), and so that
// a contract can hold the operator to it (EIP-712).
import { base64Bytes, bytesToHex, concat, hexToBytes, utf8 } from "./bytes";
import { isKeyName, keyId, lineBy, parseNote, verifyNote, type Note, type VerifierKey } from "./note";
import { checksummed, digest, structHash, type Domain } from "./schema";
import { recover, SignatureError } from "./signature";
import type { Hex } from "./types";

const EIP712 = 0xff;
const EIP712_ALGORITHM = "medtrail.eip712/v1";

/** Why a checkpoint is not one, or not by whom it should be; the message is the same as in Rust. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
}

export interface SignedCheckpoint {
  origin: string;
  size: bigint;
  root: Hex;
  note: Note;
}

/** Reads a signed note whose text is origin, size and root. No signature is checked. */
export function parseCheckpoint(text: string): SignedCheckpoint {
  const note = parseNote(text);
  const notThree = new CheckpointError("a checkpoint has three lines: origin, decimal size, base64 root");
  const [origin, size, root, end, ...more] = note.text.split("\n");
  if (origin === undefined || size === undefined || root === undefined || end !== "" || more.length > 0) throw notThree;
  // One spelling for each size: no sign, no leading zeros.
  if (!isKeyName(origin) || !/^(0|[1-9][0-9]{0,19})$/.test(size) || BigInt(size) >> 64n !== 0n) throw notThree;
  const hash = base64Bytes(root);
  if (hash === null || hash.length !== 32) throw notThree;
  return { origin, size: BigInt(size), root: bytesToHex(hash), note };
}

/** Signature lines beside the log's own two: nobody here knows their keys. */
export function linesOfOthers({ note }: SignedCheckpoint): number {
  return Math.max(0, note.signatures.length - 2);
}

/** The keys that speak for one log, from a trust file or from the chain: never from a proof. */
export interface LogKeys extends Domain {
  log: Hex;
  noteKey: VerifierKey;
  operator: Hex;
}

/** Checks both signatures; gives when the operator signed, in milliseconds, or throws. */
export async function verifyCheckpoint(signed: SignedCheckpoint, keys: LogKeys): Promise<bigint> {
  if (signed.origin !== keys.noteKey.name) {
    throw new CheckpointError(`this checkpoint is of ${signed.origin}, not of ${keys.noteKey.name}`);
  }
  await verifyNote(signed.note, keys.noteKey);
  const operator = checksummed(keys.operator);
  const id = keyId(signed.origin, EIP712, concat(utf8(EIP712_ALGORITHM), hexToBytes(keys.operator)));
  const line = lineBy(signed.note, signed.origin, id);
  if (line === null) throw new CheckpointError(`no EIP-712 signature of operator ${operator}`);
  const isWrong = new CheckpointError(`the EIP-712 signature of operator ${operator} is wrong`);
  if (line.signature.length < 8) throw isWrong;
  const timeMs = BigInt(bytesToHex(line.signature.subarray(0, 8)));
  const head = structHash("Checkpoint", { log: keys.log, size: signed.size, root: signed.root, timeMs });
  let signer: Hex;
  try {
    signer = await recover(digest(head, keys), line.signature.subarray(8));
  } catch (error) {
    if (error instanceof SignatureError) {
      throw new CheckpointError(`the operator's EIP-712 signature: ${error.message}`);
    }
    throw error;
  }
  if (signer !== keys.operator) throw isWrong;
  return timeMs;
}
