// @vitest-environment node
import { createHash } from "node:crypto";
import { Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { afterEach, describe, expect, it, vi } from "vitest";
import { bytesToHex, utf8 } from "../ledger/bytes";
import { repositoryFile } from "../ledger/testing";
import type { Hex, Report } from "../ledger/types";
import { Refused, Unreachable } from "../server/client";
import { DATASET, LOG, MARKET, NOW_S, offer } from "../sales/testing";
import { bech32, isRecipient, keyFile, keysIn, newKey, recipientOf, recipientText, secretBytes, secretText } from "./age-key";
import { isAsked, noFacets, pathOf } from "./catalogue";
import { contentsOf, DeliveryError, hashOf, isKey, unsealed, type Logged } from "./delivery";
import { download } from "./download";
import { manifestOf } from "./manifest";
import { orderFrom, windowChoices } from "./order-form";
import { byDay, glucoseOf, recordsOf, thinned } from "./records";
import { Archive, header, padding } from "./tar";

const bytes32 = (byte: number) => new Uint8Array(32).fill(byte);
const hex = (byte: string, bytes = 32): Hex => `0x${byte.repeat(bytes)}`;
const sha = (bytes: Uint8Array): Hex => `0x${createHash("sha256").update(bytes).digest("hex")}`;

/** The delivery that crates/market made once, and for ever opens: its lock is 32 bytes of 1, its buyer's key of 0x42. */
const FILE = new Uint8Array(repositoryFile("tests/data/delivery/delivery-v1.age"));
const TOLD = JSON.parse(new TextDecoder().decode(repositoryFile("tests/data/delivery/delivery-v1.json"))) as { dataset: Hex; details: string; report: Report };
const { report } = TOLD;
const LOGGED: Logged = { lock: report.fromVersion, file: report.toVersion, manifest: (JSON.parse(TOLD.details) as { manifest: Hex }).manifest, index: 1 };
const ORDERED = { id: report.record, order: { offer: { ...offer(), terms: { ...offer().terms, dataset: TOLD.dataset } } } as never, dataset: null };
const BUYER = secretText(bytes32(0x42));
const fault = (what: Promise<unknown>) => what.then(() => "none", (error: unknown) => (error instanceof DeliveryError ? error.fault : String(error)));

describe("a buyer's key", () => {
  it("is spelt as age spells it", async () => {
    for (let round = 0; round < 8; round += 1) {
      const secret = await generateX25519Identity();
      const bytes = secretBytes(secret);
      if (bytes === null) throw new Error("a key of age");
      expect(secretText(bytes)).toBe(secret);
      const [key] = keysIn(secret) as readonly { recipient: Hex }[];
      expect(recipientText(key?.recipient ?? "0x")).toBe(await identityToRecipient(secret));
      expect(recipientOf(` ${await identityToRecipient(secret)} `)).toBe(key?.recipient);
    }
    expect(bech32("a", new Uint8Array())).toBe("a12uel5l");
  });

  it("is one that can be sealed to, in one spelling", () => {
    const good = newKey().recipient;
    const text = recipientText(good);
    const low = ["00".repeat(32), `01${"00".repeat(31)}`, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157", `ec${"ff".repeat(30)}7f`];
    expect(low.map((key) => isRecipient(`0x${key}`))).toEqual(low.map(() => false));
    const twice = [`ed${"ff".repeat(30)}7f`, `f6${"ff".repeat(30)}7f`, `0x${good.slice(2, 64)}${(Number.parseInt(good.slice(64), 16) | 0x80).toString(16)}`.slice(2)];
    expect(twice.map((key) => isRecipient(`0x${key}`))).toEqual(twice.map(() => false));
    expect(recipientOf(text)).toBe(good);
    const other = text.slice(0, -1) + (text.endsWith("q") ? "p" : "q");
    for (const wrong of [text.toUpperCase(), other, text.slice(0, -1), `${text}q`, "age1", "", BUYER, recipientText(hex("00")), bech32("bge", bytes32(9)), bech32("age", new Uint8Array(31))]) expect(recipientOf(wrong), wrong).toBeNull();
  });

  it("stands in a file that every age tool reads", () => {
    const key = newKey();
    const file = keyFile(key, Date.parse("2026-11-29T00:00:00.500Z"));
    expect(file).toBe(`# created: 2026-11-29T00:00:00Z\n# public key: ${recipientText(key.recipient)}\n${key.secret}\n`);
    expect(keysIn(file)).toEqual([key]);
    expect(keysIn(`${file}\r\n${BUYER}`)).toHaveLength(2);
    expect([keysIn("age-encryption.org/v1\n-> scrypt"), keysIn("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl"), keysIn("# only words\n"), keysIn(""), keysIn(`${BUYER}\nage1abc`), keysIn(BUYER.toLowerCase())])
      .toEqual(["locked", "armored", "none", "none", "none", "none"]);
  });
});

describe("a delivery", () => {
  it("that the service made opens for its buyer, and is what its manifest says", async () => {
    expect([await hashOf(FILE), isKey(bytesToHex(bytes32(1)), LOGGED)]).toEqual([LOGGED.file, true]);
    const told: number[] = [];
    const plain = await unsealed(FILE, bytes32(1), [secretText(bytes32(7)), BUYER], (done, all) => told.push(done / all));
    expect(told.at(-1)).toBe(1);
    const { manifest, files } = await contentsOf(plain, LOGGED, ORDERED);
    expect([manifest.made, manifest.records.length, files.size]).toEqual([null, 10, 10]);
    const records = recordsOf({ manifest, files });
    expect(records.every(({ type }) => type !== null)).toBe(true);
    expect(records[0]?.entry).toMatchObject({ number: null, word: "signedByOrganisation", origin: { open: { source: "Harbour Hospital", index: 4711 } } });
  });

  it("opens for nobody else, and not when a byte was changed", async () => {
    expect(isKey(bytesToHex(bytes32(2)), LOGGED)).toBe(false);
    expect(await fault(unsealed(FILE, bytes32(2), [BUYER]))).toBe("key");
    expect(await fault(unsealed(FILE, bytes32(1), [secretText(bytes32(7))]))).toBe("recipient");
    const changed = FILE.slice();
    changed[FILE.length - 40] = (changed[FILE.length - 40] as number) ^ 1;
    expect(await fault(unsealed(changed, bytes32(1), [BUYER]))).toMatch(/seal|recipient/);
    expect(await fault(unsealed(FILE.slice(0, -1), bytes32(1), [BUYER]))).toMatch(/seal|recipient/);
    expect(await fault(unsealed(utf8("no age file"), bytes32(1), [BUYER]))).toBe("key");
  });

  it("is refused if it is another's, or anything in it is changed", async () => {
    const plain = await unsealed(FILE, bytes32(1), [BUYER]);
    expect(await fault(contentsOf(plain, { ...LOGGED, manifest: LOG }, ORDERED))).toBe("otherManifest");
    expect(await fault(contentsOf(plain, LOGGED, { ...ORDERED, id: LOG }))).toBe("order");
    expect(await fault(contentsOf(plain, LOGGED, { ...ORDERED, dataset: DATASET }))).toBe("dataset");
    const changed = (at: number, to = 1) => {
      const copy = plain.slice();
      copy[at] = (copy[at] as number) ^ to;
      return copy;
    };
    const after = 512 + 6013 + padding(6013);
    expect(await fault(contentsOf(changed(520), LOGGED, ORDERED))).toBe("otherManifest");
    expect(await fault(contentsOf(changed(after + 520), LOGGED, ORDERED))).toBe("content");
    for (const place of [0, 124, 511, 512 + 6013, after, after + 300, plain.length - 1]) expect(await fault(contentsOf(changed(place), LOGGED, ORDERED)), `byte ${place}`).toBe("archive");
    expect(await fault(contentsOf(plain.slice(0, -512), LOGGED, ORDERED))).toBe("archive");
    expect(await fault(contentsOf(new Uint8Array([...plain, 0]), LOGGED, ORDERED))).toBe("archive");
    expect(await fault(contentsOf(new Uint8Array(0), LOGGED, ORDERED))).toBe("archive");
  });
});

describe("an archive", () => {
  it("has headers as tar writes them", () => {
    const block = header("records/000001.json", 322);
    expect(block).toHaveLength(512);
    expect(new TextDecoder().decode(block.slice(124, 136))).toBe("00000000502\0");
    const sum = Number.parseInt(new TextDecoder().decode(block.slice(148, 154)), 8);
    const blank = block.slice();
    blank.fill(0x20, 148, 156);
    expect(blank.reduce((all, byte) => all + byte, 0)).toBe(sum);
    expect([0, 1, 512, 513].map(padding)).toEqual([0, 511, 0, 511]);
  });

  it("is not read beyond its end, nor with a length that it does not have", () => {
    const whole = new Uint8Array(1024);
    whole.set(header("a", 600));
    expect(() => new Archive(whole).file("a", 600)).toThrow("ends within");
    expect(() => new Archive(whole).file("a", 100)).toThrow("something else");
    expect(() => new Archive(whole).manifest(10)).toThrow("does not begin");
  });
});

describe("a manifest", () => {
  const text = new TextDecoder().decode(repositoryFile("tests/data/delivery/manifest-v1.json"));
  const read = (change: (value: Record<string, never>) => void) => {
    const value = JSON.parse(text) as Record<string, never>;
    change(value);
    return manifestOf(utf8(JSON.stringify(value)));
  };

  it("is read as it was written", () => {
    expect(manifestOf(utf8(text))).toMatchObject({ order: hex("0d"), dataset: TOLD.dataset });
  });

  it("is none with a path that leads elsewhere, a file twice, or a record of no file", () => {
    type Loose = { files: { path: string; bytes: number }[]; records: { path: string; number?: number; word: string; origin: object }[]; version: string; made: object };
    const changes: ((value: Loose) => void)[] = [
      (value) => { value.version = "medtrail/manifest-v2"; }, (value) => { (value.files[0] as Loose["files"][0]).path = "../x"; },
      (value) => { (value.files[0] as Loose["files"][0]).path = "manifest.json"; }, (value) => { value.files.reverse(); },
      (value) => { (value.files[1] as Loose["files"][0]).path = (value.files[0] as Loose["files"][0]).path; },
      (value) => { (value.files[0] as Loose["files"][0]).bytes = -1; }, (value) => { (value.files[0] as Loose["files"][0]).bytes = 2 ** 40; },
      (value) => { (value.records[0] as Loose["records"][0]).path = "records/0.json"; }, (value) => { (value.records[0] as Loose["records"][0]).number = 1; },
      (value) => { (value.records[0] as Loose["records"][0]).word = "uploadedByPerson"; }, (value) => { (value.records[0] as Loose["records"][0]).origin = { hidden: LOG }; },
      (value) => { value.made = { tool: "t", profile: "p", removed: { elements: {}, resources: {} } }; },
    ];
    for (const [place, change] of changes.entries()) expect(read(change as never), `change ${place}`).toBeNull();
    expect(manifestOf(utf8("[]"))).toBeNull();
    expect(manifestOf(Uint8Array.of(0xff))).toBeNull();
  });
});

/** A small de-identified delivery, made by age itself. */
async function delivered(lines: readonly object[], id: Hex) {
  const data = utf8(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const manifest = utf8(JSON.stringify({
    version: "medtrail/manifest-v1", order: id, dataset: TOLD.dataset,
    made: { tool: "medtrail 0.1", profile: "shifted-dates-v1", removed: { elements: { "Observation.note": 2 }, resources: {} } },
    files: [{ path: "data.ndjson", hash: sha(data), bytes: data.length }],
    records: lines.map((_, place) => ({ path: "data.ndjson", number: place + 1, word: "signedByOrganisation", origin: { hidden: LOG } })),
  }));
  const part = (path: string, bytes: Uint8Array) => [header(path, bytes.length), bytes, new Uint8Array(padding(bytes.length))];
  const tar = Buffer.concat([...part("manifest.json", manifest), ...part("data.ndjson", data), new Uint8Array(1024)]);
  const seal = async (recipient: string, plain: Uint8Array) => {
    const encrypter = new Encrypter();
    encrypter.addRecipient(recipient);
    return encrypter.encrypt(plain);
  };
  const outer = keysIn(secretText(bytes32(3))) as readonly { recipient: Hex }[];
  const inner = keysIn(BUYER) as readonly { recipient: Hex }[];
  const file = await seal(recipientText(outer[0]?.recipient ?? "0x"), await seal(recipientText(inner[0]?.recipient ?? "0x"), tar));
  return { file, logged: { ...LOGGED, manifest: sha(manifest) } };
}

const glucose = (value: unknown, effectiveDateTime: string, unit = "mmol/L", code = "15074-8") =>
  ({ resourceType: "Observation", code: { coding: [{ system: "http://loinc.org", code }] }, effectiveDateTime, valueQuantity: { value, code: unit } });

describe("what was delivered", () => {
  it("is shown record by record, and glucose as a curve", async () => {
    const { file, logged } = await delivered([
      glucose(6.1, "2025-03-02T08:00:00Z"), glucose(5.2, "2025-03-01"), glucose(99, "2025-03-01", "mg/dL"), glucose(7, "2025"), glucose("x", "2025-03-03"),
      glucose(4, "2025-03-04", "mmol/L", "718-7"), { resourceType: "Condition", code: { coding: [{ system: "http://snomed.info/sct", code: "44054006" }] } },
    ], ORDERED.id);
    const contents = await contentsOf(await unsealed(file, bytes32(3), [BUYER]), logged, ORDERED);
    const records = recordsOf(contents);
    expect(records.map(({ type, code }) => [type, code]).at(-1)).toEqual(["Condition", "http://snomed.info/sct|44054006"]);
    expect(contents.manifest.made).toMatchObject({ elements: [["Observation.note", 2]] });
    const curve = glucoseOf(records);
    expect(curve).toMatchObject({ unit: "mmol/L", undated: 1 });
    expect(curve?.points.map(({ value }) => value)).toEqual([5.2, 6.1]);
    expect(glucoseOf(records.slice(-1))).toBeNull();
  });

  it("is read as a sensor writes it, and drawn without hiding the extremes", () => {
    const row = (data: string, change: object = {}) => ({
      resourceType: "Observation", code: { coding: [{ system: "http://loinc.org", code: "105272-9" }] }, effectivePeriod: { start: "2026-03-01T10:00:00Z" },
      valueSampledData: { origin: { value: 1, code: "mmol/L" }, period: 60_000, factor: 2, dimensions: 1, data, ...change },
    });
    const of = (resource: object) => glucoseOf([{ entry: {} as never, resource, type: "Observation", code: null }]);
    expect(of(row("3.5 E 4"))?.points).toEqual([{ atMs: Date.parse("2026-03-01T10:00:00Z"), value: 8 }, { atMs: Date.parse("2026-03-01T10:02:00Z"), value: 9 }]);
    for (const change of [{ period: 0 }, { dimensions: 2 }, { origin: { value: "0", code: "x" } }, { data: 5 }, { factor: "2" }]) expect(of(row("1 2", change)), JSON.stringify(change)).toBeNull();
    const points = Array.from({ length: 10_000 }, (_, place) => ({ atMs: place * 60_000, value: place === 5_555 ? 99 : place === 7_777 ? -5 : 5 + (place % 3) }));
    const thin = thinned(points, 400);
    expect([thin.length <= 400, thin.filter(({ value }) => value === 99 || value === -5).length]).toEqual([true, 2]);
    expect(thin.every(({ atMs }, place) => place === 0 || atMs > (thin[place - 1]?.atMs ?? 0))).toBe(true);
    expect(byDay(points).map(({ count }) => count).reduce((sum, count) => sum + count, 0)).toBe(10_000);
    expect(byDay(points.slice(0, 3))).toEqual([{ day: "1970-01-01", count: 3, low: 5, high: 7 }]);
  });
});

describe("a download", () => {
  afterEach(() => vi.unstubAllGlobals());
  const whole = Uint8Array.from({ length: 1000 }, (_, place) => place % 251);
  const never = new AbortController().signal;
  const cut = (from: number, to: number) => new ReadableStream<Uint8Array>({
    start(controller) { controller.enqueue(whole.slice(from, to)); },
    pull(controller) { controller.error(new TypeError("cut")); },
  });

  function serve(...answers: ((headers: Record<string, string>) => Response)[]) {
    const asked: Record<string, string>[] = [];
    vi.stubGlobal("fetch", async (_: string, { headers }: { headers: Record<string, string> }) => {
      asked.push(headers);
      const answer = answers[asked.length - 1];
      if (!answer) throw new TypeError("down");
      return answer(headers);
    });
    return asked;
  }

  it("goes on where the line broke, with the rest of the same file", async () => {
    const asked = serve(
      () => new Response(cut(0, 400), { headers: { etag: '"e1"' } }),
      () => new Response(whole.slice(400), { status: 206, headers: { etag: '"e1"', "content-range": "bytes 400-999/1000" } }),
    );
    const told: number[] = [];
    expect(await download("/x", 1000, (done) => told.push(done), never, 0)).toEqual(whole);
    expect(asked).toEqual([{}, { range: "bytes=400-", "if-range": '"e1"' }]);
    expect(told.at(-1)).toBe(1000);
  });

  it("begins anew if the file is another now, or the server knows no parts", async () => {
    serve(() => new Response(cut(0, 400), { headers: { etag: '"e1"' } }), () => new Response(whole, { headers: { etag: '"e2"' } }));
    expect(await download("/x", 1000, () => {}, never, 0)).toEqual(whole);
  });

  it("ends with what the server refuses, with more than was said, and when nothing comes", async () => {
    serve(() => new Response(JSON.stringify({ type: "/problems/no-such-sale" }), { status: 404 }));
    await expect(download("/x", 1000, () => {}, never, 0)).rejects.toBeInstanceOf(Refused);
    serve(() => new Response(whole));
    await expect(download("/x", 999, () => {}, never, 0)).rejects.toBeInstanceOf(RangeError);
    await expect(download("/x", 2 ** 40, () => {}, never, 0)).rejects.toBeInstanceOf(RangeError);
    const asked = serve(() => new Response(whole.slice(0, 10), { headers: { etag: '"e"' } }));
    await expect(download("/x", 1000, () => {}, never, 0)).rejects.toBeInstanceOf(Unreachable);
    expect(asked).toHaveLength(4);
  });
});

describe("an order", () => {
  const recipient = newKey().recipient;

  it("leaves the windows that the service asks for, also if the payment takes a while", () => {
    for (const market of [MARKET, { deliverySMin: 5, graceSMin: 3 }]) {
      const { deliver, grace } = windowChoices(market);
      expect([deliver[0], grace[0]]).toEqual([market.deliverySMin, market.graceSMin]);
      for (const deliverS of deliver) {
        for (const graceS of grace) {
          const { deliverBy, grace: given } = orderFrom({ offer: offer(), buyer: hex("03", 20), recipient, deliverS, graceS, nowS: NOW_S, salt: LOG });
          expect(deliverBy - (NOW_S + 100)).toBeGreaterThanOrEqual(market.deliverySMin);
          expect(given).toBeLessThanOrEqual(90 * 86_400);
          expect(deliverBy + given - NOW_S).toBeLessThanOrEqual(366 * 86_400);
        }
      }
    }
    expect(windowChoices({ deliverySMin: 100 * 86_400, graceSMin: 80 * 86_400 })).toEqual({ deliver: [8_640_000, 17_280_000], grace: [6_912_000] });
  });
});

describe("the catalogue", () => {
  const listed = { id: LOG, listedMs: 1, price: "5", token: hex("00", 20), expiresAtS: NOW_S, purpose: "DSRCH", dataset: DATASET, recordsAtLeast: 5 };

  it("is asked for what was chosen, and what it gives is held to that", () => {
    expect(pathOf(noFacets(), null)).toBe("/v1/offers?limit=50");
    expect(pathOf({ ...noFacets(), type: "Observation", code: " http://loinc.org|15074-8 " }, "a b")).toBe("/v1/offers?type=Observation&code=http%3A%2F%2Floinc.org%7C15074-8&before=a+b&limit=50");
    const fits = [{}, { type: "Observation" }, { code: "15074-8" }, { code: "http://loinc.org|15074-8" }, { form: "shifted-dates-v1" }, { origin: "signed" }, { purpose: "HRESCH" }, { purpose: "DSRCH" }];
    for (const facets of fits) expect(isAsked(listed, { ...noFacets(), ...facets }), JSON.stringify(facets)).toBe(true);
    for (const facets of [{ type: "Condition" }, { code: "718-7" }, { form: "as-it-is" }, { form: "hipaa-safe-harbor-v1" }, { origin: "signed-and-uploaded" }, { purpose: "HMARKT" }]) {
      expect(isAsked(listed, { ...noFacets(), ...facets }), JSON.stringify(facets)).toBe(false);
    }
  });
});
