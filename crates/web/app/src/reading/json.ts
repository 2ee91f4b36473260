// A narrow look at JSON of others: nothing fails, and what is not of the type asked for is not there.
import { textOf } from "../ledger/bytes";

/** Levels of nesting, and values, of one document at most: what goes beyond is not read at all. */
const DEPTH_MAX = 24;
const NODES_MAX = 20_000;

export type Json = { readonly [name: string]: unknown };

/** The tree of a document, or null if it is no JSON or beyond the limits. */
export function parseTree(bytes: Uint8Array): unknown {
  const text = textOf(bytes);
  if (text === null) return null;
  let tree: unknown;
  try {
    tree = JSON.parse(text);
  } catch {
    return null;
  }
  let nodes = 0;
  const fits = (value: unknown, level: number): boolean => {
    nodes += 1;
    if (nodes > NODES_MAX || (typeof value === "string" && !isWellFormed(value))) return false;
    if (typeof value !== "object" || value === null) return true;
    if (level >= DEPTH_MAX || !Object.keys(value).every(isWellFormed)) return false;
    return Object.values(value).every((inner) => fits(inner, level + 1));
  };
  return fits(tree, 0) ? tree : null;
}

/** JSON can spell half a character; no other reader of ours takes one. */
const isWellFormed = (text: string) => !/\p{Surrogate}/u.test(text);

/** A member; undefined if this is no object or has none of its own by that name. */
export function get(node: unknown, name: string): unknown {
  if (typeof node !== "object" || node === null || Array.isArray(node) || !Object.hasOwn(node, name)) return undefined;
  return (node as Json)[name];
}

export function text(node: unknown, name: string): string | null {
  const found = get(node, name);
  return typeof found === "string" ? found : null;
}

export function list(node: unknown, name: string): readonly unknown[] {
  const found = get(node, name);
  return Array.isArray(found) ? found : [];
}
