// C2SP signed notes: a text and its signature lines, whoever signed them.
import { base64Bytes, bytesToHex, concat, equal, hexToBytes, utf8 } from "./bytes";
import { sha256 } from "./merkle";

export const SIGNATURES_MAX = 64;
export const NOTE_BYTES_MAX = 65_536;
const ED25519 = 0x01;

/** Why this is no signed note, or not one by this key; the message is the same as in Rust. */
export class NoteError extends Error {
  override readonly name = "NoteError";
}

export interface NoteSignature {
  name: string;
  keyId: Uint8Array;
  signature: Uint8Array;
}

export interface Note {
  /** The signed text, its last newline included. */
  text: string;
  signatures: NoteSignature[];
}

/** `SHA-256(name ‖ 0A ‖ type ‖ key)[..4]`. */
export function keyId(name: string, type: number, key: Uint8Array): Uint8Array {
  return hexToBytes(sha256(concat(utf8(name), Uint8Array.of(0x0a, type), key))).slice(0, 4);
}

/** Whether a name can stand in a signature line. */
export function isKeyName(name: string): boolean {
  return name !== "" && !/[\p{White_Space}\p{Cc}+]/u.test(name);
}

/** Reads a note. Signatures are not checked: ask for each key by itself. */
export function parseNote(whole: string): Note {
  const bytes = utf8(whole).length;
  if (bytes > NOTE_BYTES_MAX) throw new NoteError(`a note has at most ${NOTE_BYTES_MAX} bytes, this has ${bytes}`);
  if (/[^\P{Cc}\n]/u.test(whole)) throw new NoteError("a note is UTF-8 text without control characters");
  // The last blank line separates: the text may hold others.
  const split = whole.lastIndexOf("\n\n");
  if (split < 0 || !whole.endsWith("\n") || split + 2 >= whole.length) {
    throw new NoteError("a note has a text, a blank line, and signature lines, each ended by a newline");
  }
  const lines = whole.slice(split + 2, -1).split("\n");
  const signatures = lines.slice(0, SIGNATURES_MAX).map((line, number) => {
    const parsed = parseLine(line);
    if (parsed === null) throw new NoteError(`signature line ${number + 1} is not "— name base64"`);
    return parsed;
  });
  if (lines.length > SIGNATURES_MAX) throw new NoteError(`a note has at most ${SIGNATURES_MAX} signature lines`);
  return { text: whole.slice(0, split + 1), signatures };
}

function parseLine(line: string): NoteSignature | null {
  const prefix = "— ";
  const blank = line.indexOf(" ", prefix.length);
  if (!line.startsWith(prefix) || blank < 0) return null;
  const name = line.slice(prefix.length, blank);
  const bytes = base64Bytes(line.slice(blank + 1));
  if (!isKeyName(name) || bytes === null || bytes.length <= 4) return null;
  return { name, keyId: bytes.slice(0, 4), signature: bytes.slice(4) };
}

/** The one line by a key, or null. A second line could say something else than the one that is checked. */
export function lineBy(note: Note, name: string, id: Uint8Array): NoteSignature | null {
  const lines = note.signatures.filter((line) => line.name === name && equal(line.keyId, id));
  if (lines.length > 1) throw new NoteError(`more than one signature line of ${name}`);
  return lines[0] ?? null;
}

/** An Ed25519 key that checks notes; a log's is named like its origin. */
export interface VerifierKey {
  name: string;
  key: Uint8Array;
}

const notAKey = () => new NoteError('a verifier key is "name+8 hex digits+base64", and its id must match');

/** A key by its name and 32 bytes, which must be a point of the curve. */
export async function verifierKey(name: string, key: Uint8Array): Promise<VerifierKey> {
  const { isPoint } = await import("./ed25519");
  if (!isKeyName(name) || !isPoint(key)) throw notAKey();
  return { name, key };
}

/** Reads the C2SP form `name+id+base64(01 ‖ key)`. */
export async function parseVerifierKey(text: string): Promise<VerifierKey> {
  const [, name, id, encoded] = /^([^+]*)\+([^+]*)\+(.*)$/s.exec(text) ?? [];
  const bytes = base64Bytes(encoded ?? "");
  if (name === undefined || bytes === null || bytes.length !== 33 || bytes[0] !== ED25519) throw notAKey();
  const parsed = await verifierKey(name, bytes.slice(1));
  if (bytesToHex(noteKeyId(parsed)) !== `0x${id}`) throw notAKey();
  return parsed;
}

export function noteKeyId({ name, key }: VerifierKey): Uint8Array {
  return keyId(name, ED25519, key);
}

/** Checks the Ed25519 line of `key` over the text, or throws. */
export async function verifyNote(note: Note, key: VerifierKey): Promise<void> {
  const line = lineBy(note, key.name, noteKeyId(key));
  if (line === null) throw new NoteError(`not signed by ${key.name}`);
  const { verifyStrict } = await import("./ed25519");
  if (!verifyStrict(line.signature, utf8(note.text), key.key)) {
    throw new NoteError(`the signature of ${key.name} is wrong`);
  }
}
