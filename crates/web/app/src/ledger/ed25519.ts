// Ed25519 as strict as the Rust side: no small-order points, no second encodings, no cofactor. Libraries differ in just
// these cases, and a signature that one party accepts and another refuses is a dispute.
import { ed25519 } from "@noble/curves/ed25519";
import { bytesToHex, concat } from "./bytes";

const { ExtendedPoint } = ed25519;

function point(bytes: Uint8Array) {
  try {
    return ExtendedPoint.fromHex(bytes);
  } catch {
    return null;
  }
}

/** Whether these 32 bytes are a point of the curve in its one encoding. */
export function isPoint(bytes: Uint8Array): boolean {
  return bytes.length === 32 && point(bytes) !== null;
}

/** RFC 8032 section 5.1.7, compared without the cofactor. */
export function verifyStrict(signature: Uint8Array, message: Uint8Array, key: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  const [nonce, public_] = [point(signature.subarray(0, 32)), point(key)];
  const s = littleEndian(signature.subarray(32));
  const order = ed25519.CURVE.n;
  if (nonce === null || public_ === null || s >= order) return false;
  if (nonce.isSmallOrder() || public_.isSmallOrder()) return false;
  const hashed = ed25519.CURVE.hash(concat(signature.subarray(0, 32), key, message));
  const k = littleEndian(hashed) % order;
  const sides = ExtendedPoint.BASE.multiplyUnsafe(s).subtract(public_.multiplyUnsafe(k));
  return sides.equals(nonce);
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(bytesToHex(Uint8Array.from(bytes).reverse()));
}
