// @vitest-environment node
import { ed25519 } from "@noble/curves/ed25519";
import { describe, expect, it } from "vitest";
import { base64, base64Bytes, bytesToHex, concat, hexToBytes } from "./bytes";
import { isPoint, verifyStrict } from "./ed25519";
import { keyId, lineBy, parseNote, parseVerifierKey } from "./note";
import { fixture, fixtureTrust } from "./testing";

describe("Ed25519", () => {
  const secret = Uint8Array.from({ length: 32 }, (_, place) => place);
  const [key, message] = [ed25519.getPublicKey(secret), new TextEncoder().encode("a note\n")];
  const signature = ed25519.sign(message, secret);
  const order = ed25519.CURVE.n;
  const little = (value: bigint) => hexToBytes(`0x${value.toString(16).padStart(64, "0")}`).reverse();

  it("takes what RFC 8032 makes, and no bit more", () => {
    expect(verifyStrict(signature, message, key)).toBe(true);
    for (let bit = 0; bit < 512; bit += 1) {
      const changed = signature.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(verifyStrict(changed, message, key), `bit ${bit}`).toBe(false);
    }
    expect(verifyStrict(signature.slice(0, 63), message, key)).toBe(false);
  });

  it("refuses s beyond the order, small orders, and second encodings", () => {
    const s = BigInt(bytesToHex(signature.slice(32).reverse()));
    expect(verifyStrict(concat(signature.slice(0, 32), little(s + order)), message, key)).toBe(false);
    // Key and nonce of order 1: s = 0 fits every message for whoever does not look.
    const one = Uint8Array.from({ length: 32 }, (_, place) => (place === 0 ? 1 : 0));
    expect(isPoint(one)).toBe(true);
    expect(verifyStrict(concat(one, new Uint8Array(32)), message, one)).toBe(false);
    // y + p is the same point in other bytes.
    expect(isPoint(little(2n ** 255n - 19n + 1n))).toBe(false);
    expect(isPoint(new Uint8Array(31))).toBe(false);
  });
});

describe("a note", () => {
  it("knows a key by name and id, and takes each of its lines only once", async () => {
    const { checkpoint } = fixture();
    const note = parseNote(checkpoint);
    const key = await parseVerifierKey((await fixtureTrust()).operator.noteKey);
    expect(lineBy(note, key.name, keyId(key.name, 1, key.key))?.signature).toHaveLength(64);
    expect(lineBy(note, "other", keyId(key.name, 1, key.key))).toBeNull();
  });

  it.each([
    ["no blank line", "a\n— b AAAAAAA=\n"], ["no line", "a\n\n"], ["no newline", "a\n\n— b AAAAAAA="],
    ["a control character", "a\u0007\n\n— b AAAAAAA=\n"], ["a hyphen", "a\n\n- b AAAAAAA=\n"],
    ["nothing signed", "a\n\n— b AAAAAA==\n"], ["a plus in the name", "a\n\n— b+ AAAAAAA=\n"],
    ["loose base64", "a\n\n— b AAAAAAB=\n"], ["65 lines", `a\n\n${"— b AAAAAAA=\n".repeat(65)}`],
    ["65,537 bytes", `${"a".repeat(65_520)}\n\n— b AAAAAAA=\n`],
  ])("with %s is none", (_, whole) => expect(() => parseNote(whole)).toThrow());

  it("has base64 in one spelling", () => {
    for (const loose of ["AA", "AA=", "AB==", "AAA", "AAB=", "A===", "AA==\n", " AA==", "AA-_"]) {
      expect(base64Bytes(loose), loose).toBeNull();
    }
    const bytes = Uint8Array.from({ length: 256 }, (_, place) => place);
    expect(base64Bytes(base64(bytes))).toEqual(bytes);
  });
});
