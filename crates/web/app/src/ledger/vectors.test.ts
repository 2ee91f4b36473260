// @vitest-environment node
import { getCreate2Address } from "viem/utils";
import { describe, expect, it } from "vitest";
import { hexToBytes, utf8 } from "./bytes";
import { REGISTRY } from "./chain";
import { emptyRoot, leafHash, nodeHash, rootOf, verifyConsistency, verifyInclusion } from "./merkle";
import {
  digest, domainSeparator, entryHash, ENTRY_TYPE, keccak, placeHash, reportHash, structHash, typeString, type StructName,
} from "./schema";
import { recover } from "./signature";
import { repositoryFile, vectors } from "./testing";
import type { Hex, Place, Report } from "./types";

interface Documents {
  domain: { chainId: number; verifyingContract: Hex };
  domainSeparator: Hex;
  documents: {
    primaryType: StructName | "Entry"; typeString: string; typeHash: Hex; structHash: Hex; digest: Hex;
    message: Record<string, unknown>;
  }[];
}

interface Merkle {
  commitments: Hex[];
  roots: Hex[];
  nodes: Hex[];
  /** By size, then index: places in `nodes`. */
  inclusion: number[][][];
  consistency: number[][][];
}

interface Signatures {
  cases: { name: string; digest: Hex; signature: Hex; signer?: Hex; refusal?: string }[];
}

/** The vectors write uint64 as text, because JSON's numbers end before. */
function whole(message: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(message).map(([name, value]) =>
    [name, typeof value === "string" && /^[0-9]+$/.test(value) ? BigInt(value) : value]));
}

describe("documents.json", () => {
  const { domain: { chainId, verifyingContract }, domainSeparator: separator, documents } = vectors<Documents>("documents");
  const domain = { chainId, registry: verifyingContract };

  it("has the domain's separator", () => expect(domainSeparator(domain)).toBe(separator));

  it("has every struct", () => {
    const names = documents.map(({ primaryType }) => primaryType).sort();
    expect(names).toEqual(["Binding", "Checkpoint", "Coverage", "Entry", "Place", "Report", "ReportBatch"]);
  });

  it.each(documents)("hashes $primaryType alike", ({ primaryType, message, ...expected }) => {
    const type = primaryType === "Entry" ? ENTRY_TYPE : typeString(primaryType);
    const struct = primaryType === "Entry"
      ? entryHash(
        reportHash(whole(message.report as Record<string, unknown>) as unknown as Report),
        placeHash(whole(message.place as Record<string, unknown>) as unknown as Place),
      )
      : structHash(primaryType, whole(message));
    const found = { typeString: type, typeHash: keccak(utf8(type)), structHash: struct, digest: digest(struct, domain) };
    expect(found).toEqual(expected);
  });
});

describe("merkle.json", () => {
  const { commitments, roots, nodes, inclusion, consistency } = vectors<Merkle>("merkle");
  const leaves = commitments.map(leafHash);
  const named = (places: number[]): Hex[] => places.map((place) => nodes[place] as Hex);
  const other = `0x${"11".repeat(32)}` as const;

  it("has the root of every size", () => {
    expect(roots).toHaveLength(65);
    expect(roots[0]).toBe(emptyRoot());
    roots.forEach((root, size) => expect(rootOf(leaves.slice(0, size))).toBe(root));
  });

  it("includes every entry in every size, and nothing with a hash more, less or changed", () => {
    let checked = 0;
    inclusion.forEach((paths, place) => {
      const size = place + 1;
      const root = roots[size] as Hex;
      expect(paths).toHaveLength(size);
      paths.forEach((places, index) => {
        const path = named(places);
        const leaf = leaves[index] as Hex;
        verifyInclusion(root, size, index, leaf, path);
        expect(() => verifyInclusion(root, size, index, leaf, [...path, other])).toThrow("another number");
        if (path.length > 0) {
          expect(() => verifyInclusion(root, size, index, leaf, path.slice(0, -1))).toThrow("another number");
          expect(() => verifyInclusion(root, size, index, leaf, [other, ...path.slice(1)])).toThrow("leads to root");
        }
        expect(() => verifyInclusion(root, size, size, leaf, path)).toThrow("cannot stand");
        checked += 1;
      });
    });
    expect(checked).toBe((64 * 65) / 2);
  });

  it("finds every size consistent with every later one, and nothing with a hash more, less or changed", () => {
    let checked = 0;
    consistency.forEach((paths, place) => {
      const to = place + 1;
      paths.forEach((places, below) => {
        const from = below + 1;
        const path = named(places);
        const check = (given: readonly Hex[]) => () =>
          verifyConsistency(from, to, roots[from] as Hex, roots[to] as Hex, given);
        check(path)();
        expect(check([...path, other])).toThrow("another number");
        if (path.length > 0) expect(check(path.slice(0, -1))).toThrow("another number");
        if (path.length > 0) expect(check([...path.slice(0, -1), other])).toThrow("leads to");
        expect(() => verifyConsistency(from, to, other, roots[to] as Hex, path)).toThrow("leads to");
        checked += 1;
      });
    });
    expect(checked).toBe((64 * 65) / 2);
    expect(() => verifyConsistency(0, 3, roots[0] as Hex, roots[3] as Hex, [])).toThrow("cannot extend");
    expect(() => verifyConsistency(4, 3, roots[4] as Hex, roots[3] as Hex, [])).toThrow("cannot extend");
  });

  it("takes sizes of 64 bits", () => {
    const size = 2n ** 64n - 1n;
    const path: Hex[] = Array.from({ length: 64 }, () => other);
    let root: Hex = leaves[0] as Hex;
    for (const sibling of path) root = nodeHash(root, sibling);
    verifyInclusion(root, size, 0, leaves[0] as Hex, path);
    expect(() => verifyInclusion(root, size, 0, leaves[0] as Hex, [...path, other])).toThrow("65 hashes");
  });
});

describe("signatures.json", () => {
  const { cases } = vectors<Signatures>("signatures");

  it("has all its cases", () => expect(cases).toHaveLength(17));

  it.each(cases)("$name", async ({ digest: signed, signature, signer, refusal }) => {
    const outcome = recover(signed, hexToBytes(signature));
    if (refusal === undefined) await expect(outcome).resolves.toBe(signer);
    else await expect(outcome).rejects.toMatchObject({ name: "SignatureError", message: refusal });
  });
});

it("knows the registry by the address that its code has", () => {
  const { bytecode } = JSON.parse(new TextDecoder().decode(repositoryFile("abi/AnchorRegistry.json"))) as { bytecode: Hex };
  const salt = `0x${Buffer.from("medtrail registry").toString("hex").padEnd(64, "0")}` as const;
  const from = "0x4e59b44847b379578588920cA78FbF26c0B4956C";
  expect(getCreate2Address({ from, salt, bytecode }).toLowerCase()).toBe(REGISTRY);
});
