// Bytes in the spellings that the documents use: each has exactly one, and any other is refused.
import { bytesToHex, hexToBytes } from "viem/utils";
import type { Document, Hex } from "./types";

export { bytesToHex, hexToBytes };

const TEXT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();

export function utf8(text: string): Uint8Array {
  return ENCODER.encode(text);
}

/** The text of bytes, or null if they are not UTF-8. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return TEXT.decode(bytes);
  } catch {
    return null;
  }
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function equal(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, place) => byte === right[place]);
}

/** Base64 with padding (RFC 4648 section 4); null for any other spelling, a loose last character included. */
export function base64Bytes(text: string): Uint8Array | null {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return base64(bytes) === text ? bytes : null;
}

export function base64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/**
 * A document's bytes; null if the base64 is broken, or holds what is carried as text: a document has one form.
 */
export function documentBytes(document: Document): Uint8Array | null {
  if ("text" in document) return utf8(document.text);
  const bytes = base64Bytes(document.base64);
  return bytes === null || textOf(bytes) !== null ? null : bytes;
}

/** Whether this is `0x` and that many bytes in lower-case hex. */
export function isHex(value: unknown, bytes: number): value is Hex {
  return typeof value === "string" && value.length === 2 + 2 * bytes && /^0x[0-9a-f]*$/.test(value);
}
