// RFC 9162 over SHA-256. A path has exactly one length for given sizes: longer or shorter ones are refused.
import { sha256 as sha256Of } from "viem/utils";
import { bytesToHex, concat, hexToBytes } from "./bytes";
import type { Hex } from "./types";

/** Sizes are 64-bit. */
const PATH_HASHES_MAX = 64;

export function sha256(bytes: Uint8Array): Hex {
  return sha256Of(bytes);
}

/** `SHA-256(00 ‖ commitment)`. */
export function leafHash(commitment: Hex): Hex {
  return sha256Of(concat(Uint8Array.of(0), hexToBytes(commitment)));
}

/** `SHA-256(01 ‖ left ‖ right)`. */
export function nodeHash(left: Hex, right: Hex): Hex {
  return sha256Of(concat(Uint8Array.of(1), hexToBytes(left), hexToBytes(right)));
}

export function emptyRoot(): Hex {
  return bytesToHex(sha256Of(new Uint8Array(0), "bytes"));
}

/** The root over leaf hashes (section 2.1.1). */
export function rootOf(leaves: readonly Hex[]): Hex {
  const [only] = leaves;
  if (only === undefined) return emptyRoot();
  if (leaves.length === 1) return only;
  const split = 2 ** (31 - Math.clz32(leaves.length - 1));
  return nodeHash(rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

/** Why a path proves nothing; the message names sizes and hashes. */
export class PathError extends Error {
  override readonly name = "PathError";
}

const wrongLength = (found: number) =>
  new PathError(`the path has ${found} hashes, these sizes need another number`);

type Whole = number | bigint;

/** Checks that `leaf` is entry `index` of the log of `size` entries with this root (section 2.1.3.2), or throws. */
export function verifyInclusion(root: Hex, size: Whole, index: Whole, leaf: Hex, path: readonly Hex[]): void {
  if (index >= size) throw new PathError(`entry ${index} cannot stand in a log of ${size} entries`);
  if (path.length > PATH_HASHES_MAX) throw wrongLength(path.length);
  let node = BigInt(index);
  let last = BigInt(size) - 1n;
  let computed = leaf;
  for (const sibling of path) {
    if (last === 0n) throw wrongLength(path.length);
    if ((node & 1n) === 1n || node === last) {
      computed = nodeHash(sibling, computed);
      while ((node & 1n) === 0n && node !== 0n) {
        node >>= 1n;
        last >>= 1n;
      }
    } else {
      computed = nodeHash(computed, sibling);
    }
    node >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw wrongLength(path.length);
  if (computed !== root) throw new PathError(`the path leads to root ${computed}, not ${root}`);
}

/**
 * Checks that the log of `to` entries begins with the log of `from` entries (section 2.1.4.2), or throws. From size 0
 * a proof would say nothing, so it is refused.
 */
export function verifyConsistency(from: Whole, to: Whole, fromRoot: Hex, toRoot: Hex, path: readonly Hex[]): void {
  const [older, newer] = [BigInt(from), BigInt(to)];
  if (older === 0n || older > newer) throw new PathError(`a log of ${to} entries cannot extend one of ${from}`);
  const notNew = (computed: Hex) => new PathError(`the path leads to root ${computed}, not ${toRoot}`);
  if (older === newer) {
    if (path.length > 0) throw wrongLength(path.length);
    if (fromRoot !== toRoot) throw notNew(fromRoot);
    return;
  }
  if (path.length > PATH_HASHES_MAX) throw wrongLength(path.length);
  // Where the old log is one complete subtree, its root is the implied first hash.
  const isWhole = (older & (older - 1n)) === 0n;
  const seed = isWhole ? fromRoot : path[0];
  if (seed === undefined) throw wrongLength(path.length);
  let node = older - 1n;
  let last = newer - 1n;
  while ((node & 1n) === 1n) {
    node >>= 1n;
    last >>= 1n;
  }
  let old = seed;
  let computed = seed;
  for (const sibling of isWhole ? path : path.slice(1)) {
    if (last === 0n) throw wrongLength(path.length);
    if ((node & 1n) === 1n || node === last) {
      old = nodeHash(sibling, old);
      computed = nodeHash(sibling, computed);
      while ((node & 1n) === 0n && node !== 0n) {
        node >>= 1n;
        last >>= 1n;
      }
    } else {
      computed = nodeHash(computed, sibling);
    }
    node >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw wrongLength(path.length);
  if (old !== fromRoot) throw new PathError(`the path leads to old root ${old}, not ${fromRoot}`);
  if (computed !== toRoot) throw notNew(computed);
}
