// The only door for signatures that count as evidence: 65 bytes r ‖ s ‖ v in the one form that Solidity, Rust and this
// page accept alike. A second accepted form would be a second document with the same meaning (EIP-2).
import { keccak256 } from "viem/utils";
import { hexToBytes } from "./bytes";
import type { Hex } from "./types";

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const HALF_ORDER = ORDER >> 1n;

/** Why the door stays shut; the message is the same as in Rust. */
export class SignatureError extends Error {
  override readonly name = "SignatureError";
}

/** Takes a signature through the door, or throws. */
export function requireStrict(signature: Uint8Array): { r: bigint; s: bigint; recovery: 0 | 1 } {
  if (signature.length !== 65) {
    throw new SignatureError(`a signature has 65 bytes (r, s, v), this has ${signature.length}`);
  }
  const v = signature[64];
  if (v !== 27 && v !== 28) throw new SignatureError(`v must be 27 or 28, this is ${v}`);
  const [r, s] = [number(signature.subarray(0, 32)), number(signature.subarray(32, 64))];
  if (r === 0n || r >= ORDER) throw new SignatureError("r must be above 0 and below the order of secp256k1");
  if (s === 0n) throw new SignatureError("s must be above 0");
  if (s > HALF_ORDER) throw new SignatureError("s must be in the lower half of the order of secp256k1 (EIP-2)");
  return { r, s, recovery: v === 27 ? 0 : 1 };
}

function number(bytes: Uint8Array): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** Who signed this digest; throws a [`SignatureError`] for what does not come through the door. */
export async function recover(digest: Hex, signature: Uint8Array): Promise<Hex> {
  const { r, s, recovery } = requireStrict(signature);
  // Loaded when first needed: the curve is most of this module's weight.
  const { secp256k1 } = await import("@noble/curves/secp256k1");
  let key: Uint8Array;
  try {
    const found = new secp256k1.Signature(r, s).addRecoveryBit(recovery);
    key = found.recoverPublicKey(hexToBytes(digest)).toRawBytes(false);
  } catch {
    throw new SignatureError("no key could have made this signature");
  }
  return `0x${keccak256(key.subarray(1)).slice(26)}`;
}
