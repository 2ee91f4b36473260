// @vitest-environment node
import { describe, expect, it } from "vitest";
import { concat, textOf } from "./bytes";
import { parseProof, parseReceipt, spell } from "./parse";
import {
  fakeChain, fakeReader, fixture, fixtureTrust, PROOF_BYTES, RECEIPT_BYTES, type FakeChain,
} from "./testing";
import type { Finding, Hex, Proof, Receipt, TrustFile } from "./types";
import { judge, verifyProof, worst } from "./verify";

const told = (findings: Finding[]) => Object.fromEntries(findings.map(({ name, verdict }) => [name, verdict]));
const wordsOf = (findings: Finding[], name: string) => findings.find((step) => step.name === name)?.words ?? "";
const text = (document: object) => textOf(spell(document)) as string;

async function check(
  change: (proof: Proof) => void = () => {}, chain: (chain: FakeChain) => void = () => {},
  trust: TrustFile | null | "fixture" = "fixture",
): Promise<Finding[]> {
  const [proof, node] = [fixture(), await fakeChain()];
  change(proof);
  chain(node);
  return verifyProof(text(proof), trust === "fixture" ? await fixtureTrust() : trust, fakeReader(node));
}

const GREEN = {
  log: "green", report: "green", details: "green", commitment: "green", anchor: "green", path: "green",
  checkpoint: "green", final: "green",
};

describe("the fixture proof", () => {
  it("is spelled and read as Rust does", () => {
    expect(spell(fixture())).toEqual(PROOF_BYTES);
    expect(spell(parseReceipt(RECEIPT_BYTES))).toEqual(RECEIPT_BYTES);
  });

  it("is green on a chain that holds its anchor, in the words of the command line", async () => {
    const findings = await check();
    expect(told(findings)).toEqual({ ...GREEN, ...("extension" in fixture() ? { extension: "green" } : {}) });
    expect(findings.map(({ words }) => words)).toMatchInlineSnapshot(`
      [
        "Log 0x1cb60d8cdfb91fcf487f4552fd8ef3d8c5fee3f3f9b37b93b261ac7a7d36053b is that of An Operator (log.example), named in your trust file.",
        "This access is signed by A Clinic (0x5050A4F4b3f9338C3472dcC01A87C76A144b3c9c).",
        "The details document (12 bytes) is the reported one: 0x7182dfb49bf9f1342fe9835e4ba1bf8b864d170d5ea587eeab8f1b4c9c951f03.",
        "Report and place of entry 4 commit to 0x667ae644cc3dcfc75969bbe0182b97a4b18754f376ec38c07205b3e9dc1cda7d.",
        "Anchor 2 in block 70 of chain 31338 holds root 0x8661b4757519dd68e7554dbf69bd9340fc25b4ed352bebb1492dce07430b2a3f of 11 entries.",
        "4 hashes lead from entry 4 to root 0x8661b4757519dd68e7554dbf69bd9340fc25b4ed352bebb1492dce07430b2a3f of 11 entries.",
        "The log log.example/medtrail signed a head of 11 entries, and so did operator 0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1 at 1767605400211 ms.",
        "Anchor 34 of 13 entries begins with these 11 entries, unchanged.",
        "Block 70 is final: chain 31338 has finalized block 120.",
      ]
    `);
  });

  it("is amber for whoever has not named the log", async () => {
    const findings = await check(undefined, undefined, null);
    // Without a trust file the registry must be the one whose address commits to its code; this one does not.
    expect(told(findings)).toMatchObject({ log: "amber", report: "amber", anchor: "red" });
    const proof = fixture();
    const facts = await fakeReader(await fakeChain()).facts(proof, await fixtureTrust());
    const judged = await judge(proof, null, facts);
    expect(told(judged)).toMatchObject({ log: "amber", report: "amber", anchor: "green", path: "green", checkpoint: "green" });
    expect(worst(judged)).toBe("amber");
  });

  it("is amber for whoever has named another log", async () => {
    const trust = { ...(await fixtureTrust()), log: `0x${"77".repeat(32)}` as Hex };
    const findings = await check(undefined, undefined, trust);
    expect(told(findings)).toMatchObject({ log: "amber", report: "amber", path: "green", checkpoint: "green" });
    expect(worst(findings)).toBe("amber");
  });
});

describe("a changed proof", () => {
  it("is red or refused, whichever byte was changed and to whatever neighbour", async () => {
    const [trust, node] = [await fixtureTrust(), await fakeChain()];
    const chain = fakeReader(node);
    const passed: string[] = [];
    for (let at = 0; at < PROOF_BYTES.length; at += 1) {
      const changed = PROOF_BYTES.slice();
      changed[at] = (changed[at] as number) ^ 1;
      const findings = await verifyProof(changed, trust, chain);
      if (worst(findings) !== "red") passed.push(`byte ${at}: ${JSON.stringify(told(findings))}`);
    }
    expect(passed).toEqual([]);
  }, 120_000);

  it("is refused when cut, doubled, or spelled another way", async () => {
    const whole = textOf(PROOF_BYTES) as string;
    const others = [
      "", "null", "[]", "{}", whole.slice(0, -1), `${whole}\n`, ` ${whole}`, `\ufeff${whole}`, whole.replaceAll("  ", " "),
      whole.replace('"index": 4', '"index": 4.0'), whole.replace('"index": 4', '"index": 4,\n  "index": 4'),
      whole.replace('"index": 4', '"index": 4,\n  "more": 4'), whole.replace('"index": 4', '"index": 9007199254740993'),
      whole.replace('"kind": 1', '"kind": 257'), whole.replace('"kind": 1', '"kind": -1'),
      whole.replace("0x1cb6", "0x1CB6"), whole.replace("ä4", "\\u00e44"), whole.replace("ä4", "\\ud800"),
      JSON.stringify({ ...fixture(), toString: 1 }), whole.replace("proof-v1", "proof-v2"),
    ];
    for (const other of others) {
      const findings = await verifyProof(other, null, fakeReader(await fakeChain()));
      expect(told(findings), other.slice(0, 40)).toEqual({ file: "red" });
    }
    const bytes = concat(PROOF_BYTES, Uint8Array.of(0xff));
    expect(wordsOf(await verifyProof(bytes, null, fakeReader(await fakeChain())), "file")).toBe("not a proof: not UTF-8");
    const long = new Uint8Array((4 << 20) + 1);
    expect(wordsOf(await verifyProof(long, null, fakeReader(await fakeChain())), "file")).toMatch("at most 4194304 bytes");
  });

  it("that is made to exhaust its reader is refused like any other", async () => {
    const chain = fakeReader(await fakeChain());
    const deep = (levels: number) => `{"version": ${"[".repeat(levels)}${"]".repeat(levels)}}`;
    const whole = textOf(PROOF_BYTES) as string;
    const long = "x".repeat(4_000_000);
    for (const [file, words] of [
      [deep(1_000_000), "nested deeper than 128 levels"], [deep(127), "version: is ["], [`{"${long}": 1}`, "xxx"],
      [`{"version": "${long}"}`, "version: is"], [whole.replace("ä4", "\\\\".repeat(1_900_000)), ""],
      [whole.replace("ä4", long), ""],
    ] as const) {
      const findings = await verifyProof(file, await fixtureTrust(), chain);
      expect(worst(findings)).toBe("red");
      if (words !== "") expect(wordsOf(findings, "file")).toContain(words);
      expect(Math.max(...findings.map((step) => step.words.length))).toBeLessThan(2_100);
    }
  });

  it("says where it is written another way", () => {
    const whole = (textOf(PROOF_BYTES) as string).replace('"index": 4', '"index":  4');
    expect(() => parseProof(new TextEncoder().encode(whole))).toThrow(
      "byte 47: written another way than Medtrail writes it (line 3)",
    );
  });

  it("cannot turn a line around or move a cursor in what is said of it", async () => {
    const findings = await verifyProof('{"\\u001b[2JVerified.\\u202e": 1}', null, fakeReader(await fakeChain()));
    expect(wordsOf(findings, "file")).toContain("Verified.");
    expect(wordsOf(findings, "file")).not.toMatch(/[\p{Cc}\u202e]/u);
  });

  it.each<[string, (proof: Proof) => void, string, RegExp]>([
    ["another log in the report", (p) => { p.report.log = `0x${"00".repeat(32)}`; }, "log", /but the anchor is of log/],
    ["another time", (p) => { p.report.timeMs += 1; }, "report", /signed by 0x.*, but the report names actor/],
    ["relayed by a custodian", (p) => { p.evidence = "relayed"; }, "report", /is no operator/],
    ["another document", (p) => { p.details = { text: "{}" }; }, "details", /SHA-256 is 0x.*, the report names/],
    ["a document in its other form", (p) => { p.details = { base64: "eyJpZCI6IsOkNCJ9" }; }, "details", /broken base64/],
    ["a document in loose base64", (p) => { p.details = { base64: "/x==" }; }, "details", /broken base64/],
    ["another chain", (p) => { p.anchor.chainId += 1; }, "anchor", /the endpoint you gave is chain 31338/],
    ["another registry", (p) => { p.anchor.registry = `0x${"12".repeat(20)}`; }, "anchor", /no AnchorRegistry/],
    ["an anchor that is not there", (p) => { p.anchor.number += 1; }, "anchor", /holds no anchor/],
    ["another block", (p) => { p.anchor.block += 1; }, "anchor", /holds no anchor/],
    ["another size", (p) => { p.anchor.size += 1; }, "anchor", /anchor.size is \d+, the chain has/],
    ["another root", (p) => { p.anchor.root = `0x${"12".repeat(32)}`; }, "anchor", /anchor.root is/],
    ["another block time", (p) => { p.anchor.timeS += 1; }, "anchor", /anchor.timeS is/],
    ["another transaction", (p) => { p.anchor.tx = `0x${"12".repeat(32)}`; }, "anchor", /anchor.tx is/],
    ["another index", (p) => { p.index += 1; }, "path", /leads to root/],
    ["an index beyond the log", (p) => { p.index = 1_000; }, "path", /cannot stand/],
    ["a longer path", (p) => { p.path.push(`0x${"12".repeat(32)}`); }, "path", /another number/],
    ["another place", (p) => { p.place = { hash: `0x${"12".repeat(32)}` }; }, "path", /leads to root/],
    ["no signature lines", (p) => { p.checkpoint = "a\n"; }, "checkpoint", /a note has a text, a blank line/],
    ["another size in the note", (p) => { p.checkpoint = p.checkpoint.replace(/\n(\d)/, "\n1$1"); }, "checkpoint", /another root than anchor/],
    ["a line twice", (p) => { p.checkpoint += `${p.checkpoint.split("\n").at(-2)}\n`; }, "checkpoint", /more than one signature line/],
    ["no operator's line", (p) => { p.checkpoint = `${p.checkpoint.split("\n").slice(0, -2).join("\n")}\n`; }, "checkpoint", /no EIP-712 signature/],
  ])("with %s is red where it is wrong", async (_, change, name, words) => {
    const findings = await check(change);
    expect(told(findings)[name]).toBe("red");
    expect(wordsOf(findings, name)).toMatch(words);
  });
});

describe("a proof on another chain than it says", () => {
  it.each<[string, (chain: FakeChain) => void, string, RegExp]>([
    ["no contract", (c) => { c.code = "0x"; }, "anchor", /no AnchorRegistry/],
    ["another operator", (c) => { c.operator = `0x${"12".repeat(20)}`; }, "checkpoint", /no EIP-712 signature of operator/],
    ["another note key", (c) => { c.noteKey = `0x${"12".repeat(32)}`; }, "checkpoint", /another note key/],
    ["an anchor in another transaction", (c) => { c.claim = { ...c.claim, tx: `0x${"12".repeat(32)}` }; }, "anchor", /anchor.tx/],
  ])("is red with %s", async (_, change, name, words) => {
    const findings = await check(undefined, change);
    expect(told(findings)[name]).toBe("red");
    expect(wordsOf(findings, name)).toMatch(words);
  });

  it("is amber while its block is not final, and where nothing is final yet", async () => {
    for (const finalized of [null, 0]) {
      const findings = await check(undefined, (chain) => { chain.finalized = finalized; });
      expect(told(findings)).toMatchObject({ ...GREEN, final: "amber" });
    }
  });

  it("is amber where the operator signs by a key that the trust file lets speak at another time", async () => {
    const trust = await fixtureTrust();
    const key = trust.operator.keys[0];
    if (key !== undefined) key.untilMs = 2;
    expect(told(await check(undefined, undefined, trust))).toMatchObject({ ...GREEN, checkpoint: "amber" });
  });

  it("is amber with signature lines that nobody named", async () => {
    const findings = await check((proof) => { proof.checkpoint += "— other AAAAAAA=\n"; });
    expect(told(findings)).toMatchObject({ ...GREEN, cosigned: "amber" });
  });

  it("is amber where the operator relayed, and says that nobody signed", async () => {
    const proof = fixture();
    const facts = await fakeReader(await fakeChain()).facts(proof, await fixtureTrust());
    proof.evidence = "relayed";
    proof.report.actor = facts.anchor?.operator ?? "0x";
    const findings = await judge(proof, await fixtureTrust(), facts);
    expect(told(findings)).toMatchObject({ report: "amber", path: "red" });
    expect(wordsOf(findings, "report")).toMatch(/^This access is relayed, not signed by any custodian: only the word of operator 0x/);
  });

  it("says nothing of an extension whose anchor has left the ring, and is red for one that never was there", async () => {
    const proof = fixture();
    const facts = await fakeReader(await fakeChain()).facts(proof, await fixtureTrust());
    const { number, size, root } = proof.anchor;
    proof.extension = { anchor: { number: number + 1, size, root, timeS: 9 }, path: [] };
    const said = async (extensionLives: boolean | null) =>
      told(await judge(proof, await fixtureTrust(), { ...facts, extensionLives })).extension;
    expect(await said(true)).toBe("green");
    expect(await said(false)).toBe("red");
    expect(await said(null)).toBe("amber");
    proof.extension.path.push(root);
    expect(await said(true)).toBe("red");
  });
});

describe("a receipt", () => {
  const receipt = async (change: (receipt: Receipt) => void, trust: TrustFile | null, chain: FakeChain) => {
    const changed = parseReceipt(RECEIPT_BYTES);
    change(changed);
    return verifyProof(text(changed), trust, fakeReader(chain));
  };

  it("is a promise and never green", async () => {
    const findings = await receipt(() => {}, await fixtureTrust(), await fakeChain());
    expect(told(findings)).toEqual({ log: "green", receipt: "green", anchor: "amber" });
    expect(wordsOf(findings, "anchor")).toMatch(/^The log is anchored up to \d+ entries: ask the log for the proof/);
    const chain = await fakeChain();
    chain.claim = { ...chain.claim, size: 4 };
    const early = await receipt(() => {}, await fixtureTrust(), chain);
    expect(wordsOf(early, "anchor")).toBe("Not anchored yet (4 entries are). The log promises an anchor within 3600 s.");
  });

  it("needs a trust file, of this chain, with the registry's note key and a key of the operator", async () => {
    const [trust, chain] = [await fixtureTrust(), await fakeChain()];
    expect(told(await receipt(() => {}, null, chain))).toEqual({ log: "red" });
    expect(told(await receipt(() => {}, trust, { ...chain, chainId: 1 }))).toEqual({ log: "red" });
    const strange = { ...chain, noteKey: `0x${"12".repeat(32)}` as Hex };
    expect(told(await receipt(() => {}, trust, strange))).toEqual({ log: "green", keys: "red" });
    const nobody = { ...trust, operator: { ...trust.operator, keys: [] } };
    expect(told(await receipt(() => {}, nobody, chain))).toEqual({ log: "green", keys: "red" });
  });

  it("is red or refused with any byte changed", async () => {
    const [trust, chain] = [await fixtureTrust(), fakeReader(await fakeChain())];
    for (let at = 0; at < RECEIPT_BYTES.length; at += 1) {
      const changed = RECEIPT_BYTES.slice();
      changed[at] = (changed[at] as number) ^ 1;
      expect(worst(await verifyProof(changed, trust, chain)), `byte ${at}`).toBe("red");
    }
  }, 60_000);

  it("by a key that had retired is said to be so", async () => {
    const trust = await fixtureTrust();
    const key = trust.operator.keys[0];
    if (key !== undefined) key.untilMs = 2;
    const findings = await receipt(() => {}, trust, await fakeChain());
    expect(told(findings)).toEqual({ log: "green", receipt: "amber", anchor: "amber" });
  });
});
