// @vitest-environment node
import { describe, expect, it } from "vitest";
import { textOf, utf8 } from "../ledger/bytes";
import { parseProof } from "../ledger/parse";
import { fakeChain, fakeReader, fixture, fixtureTrust, PROOF_BYTES, RECEIPT_BYTES } from "../ledger/testing";
import { verifyProof, worst } from "../ledger/verify";
import { breakAt, fieldAt, placesOf } from "./break";
import { fileOf, fragmentOf } from "./link";
import { quoted } from "./shell";

const text = textOf(PROOF_BYTES) as string;

describe("breaking", () => {
  it("changes one byte to another of its kind", () => {
    const [digit, letter, hex] = [text.indexOf('"index": 4') + 9, Buffer.from(PROOF_BYTES).indexOf("log.example"), text.indexOf("0x1cb6") + 3];
    expect(breakAt(PROOF_BYTES, digit)).toMatchObject({ field: "index", from: "4", to: "5" });
    expect(breakAt(PROOF_BYTES, letter)).toMatchObject({ field: "checkpoint", from: "l", to: "m" });
    expect(breakAt(PROOF_BYTES, hex)).toMatchObject({ field: "report.log", from: "c", to: "d" });
    const { bytes } = breakAt(PROOF_BYTES, digit);
    expect([...bytes].filter((byte, place) => byte !== PROOF_BYTES[place])).toHaveLength(1);
    expect(breakAt(utf8("9\n"), 0)).toMatchObject({ from: "9", to: "0", field: "{ }" });
    expect(breakAt(utf8("0xf"), 2).to).toBe("0");
    expect(breakAt(utf8("\n"), 0)).toMatchObject({ from: "0x0a", to: "0x0b" });
    expect(() => breakAt(utf8("a"), 1)).toThrow(RangeError);
  });

  it("names the field of each byte", () => {
    const paths = new Set([...text.matchAll(/[^\s"{}[\],]/g)].map(({ index }) => fieldAt(text, index)));
    const under = (name: "report" | "anchor") => [name, ...Object.keys(fixture()[name]).map((field) => `${name}.${field}`)];
    const extension = ["anchor", "anchor.number", "anchor.size", "anchor.root", "anchor.timeS", "path"];
    expect([...paths]).toEqual([
      "version", "index", ...under("report"), "place", "place.hash", "details", "details.text", "evidence",
      "evidence.signed", "path", "checkpoint", ...under("anchor"), "extension",
      ...extension.map((field) => `extension.${field}`),
    ]);
  });

  it("is found at every place that is offered", async () => {
    const [trust, chain] = [await fixtureTrust(), fakeReader(await fakeChain())];
    for (const file of [PROOF_BYTES, RECEIPT_BYTES]) {
      const places = placesOf(file);
      expect(places.length).toBeGreaterThan(3);
      for (const { name, at } of places) {
        const { bytes, field } = breakAt(file, at);
        expect(field.split("."), name).toContain(name);
        const findings = await verifyProof(bytes, trust, chain);
        expect(worst(findings), name).toBe("red");
      }
    }
    expect(placesOf(utf8("{}"))).toEqual([]);
  });
});

describe("a link", () => {
  it("holds the file without what was said and where it stands, and leads to the same verdict", async () => {
    const fragment = await fragmentOf(PROOF_BYTES);
    expect(fragment).toMatch(/^#proof-gz=[\w-]+$/);
    const shared = (await fileOf(fragment)) as Uint8Array;
    expect(parseProof(shared)).toEqual({ ...fixture(), details: null });
    const findings = await verifyProof(shared, await fixtureTrust(), fakeReader(await fakeChain()));
    expect(worst(findings)).toBe("green");
    expect(await fileOf(await fragmentOf(RECEIPT_BYTES))).toEqual(RECEIPT_BYTES);
  });

  it("may hold it plain", async () => {
    const plain = Buffer.from(PROOF_BYTES).toString("base64url");
    expect(await fileOf(`#proof=${plain}`)).toEqual(PROOF_BYTES);
    expect(await fileOf("#/trail")).toBeNull();
    expect(await fileOf("#proof=a+b")).toBeNull();
    await expect(fileOf("#proof=abcde")).rejects.toThrow();
    await expect(fileOf("#proof-gz=abcd")).rejects.toThrow();
  });

  it("that would unpack to more than a proof may have is refused", async () => {
    const zeros = new Blob([new Uint8Array((4 << 20) + 1)]).stream().pipeThrough(new CompressionStream("gzip"));
    const packed = Buffer.from(await new Response(zeros).arrayBuffer()).toString("base64url");
    expect(packed.length).toBeLessThan(10_000);
    await expect(fileOf(`#proof-gz=${packed}`)).rejects.toThrow("too long");
  });
});

it("no file name becomes a command", () => {
  expect(["proof.json", "-x", "a b", "it's", "$(rm)", ""].map(quoted))
    .toEqual(["proof.json", "./-x", "'a b'", "'it'\\''s'", "'$(rm)'", "''"]);
});
