// A buyer's key, as every age tool has it (age X25519): the recipient that an order names, and the file that opens what is
// delivered. Made on this device; it never leaves it but as the buyer's own file.
import { x25519 } from "@noble/curves/ed25519";
import { bytesToHex, hexToBytes, isHex } from "../ledger/bytes";
import type { Hex } from "../ledger/types";

const CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3] as const;

/** The checksum of BIP 173. */
function polymod(values: readonly number[]): number {
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    GENERATOR.forEach((constant, bit) => { if ((top >>> bit) & 1) sum ^= constant; });
  }
  return sum >>> 0;
}

const expanded = (prefix: string) => {
  const codes = [...prefix].map((letter) => letter.charCodeAt(0));
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
};

/** Groups of bits anew; null where bits are left that are not zero. */
function regroup(values: Iterable<number>, from: number, to: number, mayPad: boolean): number[] | null {
  let [held, bits] = [0, 0];
  const out: number[] = [];
  for (const value of values) {
    held = ((held << from) | value) & 0xfff;
    bits += from;
    while (bits >= to) {
      bits -= to;
      out.push((held >> bits) & ((1 << to) - 1));
    }
  }
  const rest = (held << (to - bits)) & ((1 << to) - 1);
  if (mayPad) return bits > 0 ? [...out, rest] : out;
  return bits < from && rest === 0 ? out : null;
}

/** Bech32 of bytes, in lower case. */
export function bech32(prefix: string, bytes: Uint8Array): string {
  const data = regroup(bytes, 8, 5, true) ?? [];
  const sum = polymod([...expanded(prefix), ...data, 0, 0, 0, 0, 0, 0]) ^ 1;
  const check = Array.from({ length: 6 }, (_, place) => (sum >>> (5 * (5 - place))) & 31);
  return `${prefix}1${[...data, ...check].map((value) => CHARSET[value]).join("")}`;
}

/** The 32 bytes of a bech32 text of this prefix, in this one spelling; null: it is none. */
function bytesIn(prefix: string, text: string): Uint8Array | null {
  if (!text.startsWith(`${prefix}1`)) return null;
  const values = [...text.slice(prefix.length + 1)].map((letter) => CHARSET.indexOf(letter));
  if (values.length < 7 || values.includes(-1) || polymod([...expanded(prefix), ...values]) !== 1) return null;
  const bytes = regroup(values.slice(0, -6), 5, 8, false);
  return bytes?.length === 32 ? Uint8Array.from(bytes) : null;
}

const RECIPIENT = "age";
const SECRET = "age-secret-key-";

/** `age1…` of the 32 bytes that an order has. */
export const recipientText = (key: Hex): string => bech32(RECIPIENT, hexToBytes(key));

/** `AGE-SECRET-KEY-1…` of 32 bytes: those of a buyer, or those that the contract shows. */
export const secretText = (bytes: Uint8Array): string => bech32(SECRET, bytes).toUpperCase();

/** The 32 bytes of `AGE-SECRET-KEY-1…`; null: it is none. */
export function secretBytes(text: string): Uint8Array | null {
  return text === text.toUpperCase() ? bytesIn(SECRET, text.toLowerCase()) : null;
}

/** Any scalar leads from a point of low order to zero; the prime 2^255 - 19 is where second spellings begin. */
const SCALAR = new Uint8Array(32).fill(0x40);
const PRIME = 2n ** 255n - 19n;

/**
 * Whether it can be sealed to. What is sealed to a point of low order opens for everybody once the contract shows the outer
 * key; a second spelling of a point opens for nobody. The service refuses both, and the money would wait till the deadline.
 */
export function isRecipient(key: Hex): boolean {
  if (!isHex(key, 32)) return false;
  const bytes = hexToBytes(key);
  if (BigInt(bytesToHex(bytes.slice().reverse())) >= PRIME) return false;
  try {
    return x25519.scalarMult(SCALAR, bytes).some((byte) => byte !== 0);
  } catch {
    return false;
  }
}

/** The recipient that somebody pasted, as an order has it; null: it is none that can be sealed to. */
export function recipientOf(text: string): Hex | null {
  const bytes = bytesIn(RECIPIENT, text.trim());
  const key = bytes && bytesToHex(bytes);
  return key !== null && isRecipient(key) ? key : null;
}

export interface BuyerKey {
  /** `AGE-SECRET-KEY-1…` */
  readonly secret: string;
  readonly recipient: Hex;
}

const keyOf = (secret: Uint8Array): BuyerKey => ({ secret: secretText(secret), recipient: bytesToHex(x25519.getPublicKey(secret)) });

export const newKey = (): BuyerKey => keyOf(crypto.getRandomValues(new Uint8Array(32)));

/** The key's file, as `age-keygen` and `medtrail keys buyer` write it. */
export function keyFile({ secret, recipient }: BuyerKey, nowMs: number): string {
  return `# created: ${new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z")}\n# public key: ${recipientText(recipient)}\n${secret}\n`;
}

const FILE_BYTES_MAX = 64 << 10;

export type KeyFault = "locked" | "armored" | "none";

/** The keys in a file, or pasted. What is under a passphrase is opened by the commands: a page would stand still for minutes. */
export function keysIn(text: string): readonly BuyerKey[] | KeyFault {
  const trimmed = text.trim();
  if (trimmed.startsWith("age-encryption.org/")) return "locked";
  if (trimmed.startsWith("-----BEGIN AGE ENCRYPTED FILE-----")) return "armored";
  if (text.length > FILE_BYTES_MAX) return "none";
  const keys: BuyerKey[] = [];
  for (const line of trimmed.split(/\r?\n/)) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const bytes = secretBytes(line.trim());
    if (bytes === null) return "none";
    keys.push(keyOf(bytes));
  }
  return keys.length > 0 ? keys : "none";
}
