import { render, screen, within } from "@testing-library/svelte";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { flushSync } from "svelte";
import { parse, type AST } from "svelte/compiler";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { textOf } from "../ledger/bytes";
import { fakeChain, fakeNode, fakeReader, PROOF_BYTES, RECEIPT_BYTES, TRUST_BYTES, type FakeChain } from "../ledger/testing";
import { Check } from "./check.svelte";
import en from "./en.json";
import Verify from "./Verify.svelte";

const proof = textOf(PROOF_BYTES) as string;

async function checked(change: (check: Check) => Promise<void> | void, brokenAt: number | null = null) {
  const check = new Check();
  await change(check);
  await check.run(brokenAt, fakeReader(await fakeChain()));
  return check;
}

describe("a check", () => {
  it("says first whose log it is and how that is known", async () => {
    const named = await checked(async (check) => {
      await check.take("trust.json", TRUST_BYTES);
      await check.take("proof.json", PROOF_BYTES);
    });
    expect(named.result).toMatchObject({
      verdict: "green", whoseVerdict: "green", whose: "This is the log of An Operator (log.example). You know it from trust.json.",
      localChain: 31_338,
    });
    const site = await checked(async (check) => {
      await check.findSite(async () => new Response(TRUST_BYTES as Uint8Array<ArrayBuffer>));
      await check.take("proof.json", PROOF_BYTES);
    });
    expect(site.result?.whose).toMatch("only from this site");
    expect(site.result?.verdict).toBe("green");
    const nobody = await checked((check) => check.take("proof.json", PROOF_BYTES));
    expect(nobody.result).toMatchObject({ whoseVerdict: "amber", whose: "Nobody has said whose log this is: you named none." });
    expect(nobody.result?.findings[0]?.words).toContain("Name a trust file above");
    const other = textOf(TRUST_BYTES)?.replace("0x1cb6", "0x2cb6") ?? "";
    const another = await checked(async (check) => {
      await check.takeText("trust.json", other);
      await check.take("proof.json", PROOF_BYTES);
    });
    expect(another.result).toMatchObject({ whoseVerdict: "amber", whose: expect.stringContaining("not the log of An Operator") });
  });

  it("of what is no proof, or a receipt of nobody, says so first", async () => {
    const none = await checked((check) => check.takeText("x", "{}"));
    expect(none.result).toMatchObject({ verdict: "red", whose: "This is no file of a log." });
    const receipt = await checked((check) => check.take("receipt.json", RECEIPT_BYTES));
    expect(receipt.result).toMatchObject({ verdict: "red", whose: "A receipt can only be checked for a log that you name." });
    const mixed = await checked((check) => check.takeText("x", proof.replace("0x1cb6", "0x2cb6")));
    expect(mixed.result?.whose).toBe("The file contradicts itself about which log it is from.");
  });

  it("of a copy with a byte changed says which, and where it fails", async () => {
    const at = proof.indexOf('"timeMs"') + 12;
    const { result } = await checked(async (check) => {
      await check.take("trust.json", TRUST_BYTES);
      await check.take("proof.json", PROOF_BYTES);
    }, at);
    expect(result?.broken).toMatchObject({ at, field: "report.timeMs" });
    expect(result?.verdict).toBe("red");
    expect(result?.sentence).toBeNull();
  });

  it("without a node, without a file, or with a node that does not answer, checks nothing", async () => {
    const check = new Check();
    await check.run();
    expect(check).toMatchObject({ result: null, problem: "Give a file first." });
    await check.take("proof.json", PROOF_BYTES);
    await check.run();
    expect(check).toMatchObject({ result: null, problem: "Give the address of a node first." });
    check.url = "ftp://x";
    await check.run();
    expect(check.problem).toMatch("The chain could not be asked, so nothing was checked: not a JSON-RPC URL");
    await check.take("long.json", new Uint8Array((4 << 20) + 1));
    expect(check.problem).toBe("This file has 4,194,305 bytes. Proofs have at most 4,194,304.");
    expect(check.file?.name).toBe("proof.json");
    await check.takeText("t.json", '{"version": "medtrail/trust-v1"}');
    expect(check.problem).toMatch("This trust file cannot be read: not a trust file: chainId: missing");
  });
});

describe("the page", () => {
  let chain: FakeChain;

  beforeEach(async () => {
    chain = await fakeChain();
    const node = fakeNode(chain);
    const liar = fakeNode({ ...chain, operator: `0x${"12".repeat(20)}` });
    vi.stubGlobal("fetch", async (url: string, init?: RequestInit) => {
      if (url === "/.well-known/medtrail.json") return new Response(TRUST_BYTES as Uint8Array<ArrayBuffer>);
      const asked = url.startsWith("http://node.example") ? node : url.startsWith("http://liar.example") ? liar : null;
      if (asked === null) return new Response("", { status: 404 });
      const { id, method, params } = JSON.parse(String(init?.body)) as { id: number; method: string; params: unknown[] };
      return new Response(JSON.stringify({ jsonrpc: "2.0", id, result: await asked(method, params) }));
    });
    render(Verify);
  });

  afterEach(() => vi.unstubAllGlobals());

  const type = (field: HTMLElement, value: string) => {
    (field as HTMLInputElement).value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    flushSync();
  };
  const press = (name: string) => screen.getByRole("button", { name }).click();

  it("checks what is pasted, says each step in words, and finds a changed byte", async () => {
    await screen.findByLabelText(/The one this site names: An Operator/);
    type(screen.getByLabelText("or paste its text"), ` ${proof.trim()}`);
    type(screen.getByLabelText("A node (JSON-RPC address)"), "http://node.example/");
    await screen.findByText("pasted text, 2,862 bytes");
    press("Check");
    const verdict = await screen.findByRole("heading", { name: /right Verified/ });
    const steps = within(verdict.closest("section") as HTMLElement).getAllByRole("listitem");
    expect(steps.map((step) => step.getAttribute("data-step")))
      .toEqual(["log", "report", "details", "commitment", "anchor", "path", "checkpoint", "extension", "final"]);
    expect(steps.every((step) => /✔ right/.test(step.textContent ?? ""))).toBe(true);
    expect(screen.getByText(/test chain that runs on somebody’s own machine/)).toBeTruthy();
    expect(screen.getByText(/^medtrail verify proof.json --rpc http:\/\/node.example\/ --trust medtrail.json$/)).toBeTruthy();
    expect(document.activeElement).toBe(verdict.closest("[tabindex='-1']"));

    press("Change it and check");
    await screen.findByRole("heading", { name: /wrong The changed copy does not pass/ });
    expect(document.querySelector("[data-broken]")?.textContent).toMatch(/^Byte \d+, in index: “4” became “5”\.$/);
    expect(document.querySelector("[data-step='path']")?.getAttribute("data-verdict")).toBe("red");
    press("Back to the file as it was given");
    await screen.findByRole("heading", { name: /right Verified/ });

    // A verdict does not stand beside a choice that it was not given for.
    screen.getByLabelText("I name none").click();
    flushSync();
    expect(screen.queryByRole("heading", { name: /Verified/ })).toBeNull();
  });

  it("takes a file that is dropped, and a trust file by what it says it is", async () => {
    await screen.findByLabelText(/The one this site names/);
    const drop = new Event("drop", { cancelable: true });
    const file = (name: string, bytes: Uint8Array) => ({ name, arrayBuffer: async () => bytes.slice().buffer });
    Object.assign(drop, { dataTransfer: { types: ["Files"], files: [file("mine.json", TRUST_BYTES), file("p.json", PROOF_BYTES)] } });
    window.dispatchEvent(drop);
    await screen.findByText("p.json, 2,862 bytes");
    expect(drop.defaultPrevented).toBe(true);
    expect((screen.getByLabelText("The one my trust file names") as HTMLInputElement).checked).toBe(true);
  });

  it("asks through a wallet that announced itself, and needs no address then", async () => {
    await screen.findByLabelText(/The one this site names/);
    const node = fakeNode(chain);
    const request = vi.fn(async ({ method, params }: { method: string; params: unknown[] }) => node(method, params));
    const info = { uuid: "w", name: "A wallet", icon: "", rdns: "example.wallet" };
    dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: { info, provider: { request } } }));
    const choice = (await screen.findByLabelText("Through")) as HTMLSelectElement;
    choice.value = "w";
    choice.dispatchEvent(new Event("change", { bubbles: true }));
    flushSync();
    expect(screen.queryByLabelText("A node (JSON-RPC address)")).toBeNull();
    type(screen.getByLabelText("or paste its text"), proof);
    press("Check");
    await screen.findByRole("heading", { name: /right Verified/ });
    expect(request.mock.calls.map(([{ method }]) => method)).toContain("eth_getLogs");
    // It is asked for nothing that a wallet would have to ask its person about.
    expect(request.mock.calls.every(([{ method }]) => /^eth_(chainId|call|get)/.test(method))).toBe(true);
  });

  it("asks two nodes, and checks nothing if they disagree", async () => {
    await screen.findByLabelText(/The one this site names/);
    type(screen.getByLabelText("or paste its text"), proof);
    type(screen.getByLabelText("A node (JSON-RPC address)"), "http://node.example/");
    type(screen.getByLabelText(/^A second node/), "http://liar.example/");
    press("Check");
    expect((await screen.findByRole("alert")).textContent).toMatch(/your two endpoints disagree about anchor/);
  });

  it("says that nothing was checked when the node is silent", async () => {
    type(screen.getByLabelText("or paste its text"), proof);
    type(screen.getByLabelText("A node (JSON-RPC address)"), "http://other.example/");
    press("Check");
    expect((await screen.findByRole("alert")).textContent).toMatch(/nothing was checked: HTTP status 404/);
  });
});

describe("the texts of the page", () => {
  const files = readdirSync(import.meta.dirname).filter((file) => /\.(svelte|ts)$/.test(file) && !file.endsWith(".test.ts"));
  const sources = files.map((file) => [file, readFileSync(join(import.meta.dirname, file), "utf8")] as const);

  it("all stand in the dictionary", () => {
    const found: string[] = [];
    const walk = (node: unknown): void => {
      if (Array.isArray(node)) return node.forEach(walk);
      if (typeof node !== "object" || node === null) return;
      if ((node as { type?: string }).type === "Attribute") return;
      if ((node as { type?: string }).type === "Text") found.push((node as AST.Text).data.trim());
      for (const [name, inner] of Object.entries(node)) if (name !== "css" && name !== "parent") walk(inner);
    };
    for (const [file, source] of sources) if (file.endsWith(".svelte")) walk(parse(source, { modern: true }).fragment);
    expect(found.filter((text) => /\p{L}{2}/u.test(text))).toEqual(["Medtrail"]);
  });

  it("are all shown somewhere", () => {
    const source = sources.map(([, text]) => text).join("\n");
    const isUsed = (key: string) =>
      source.includes(`"${key}"`) || source.includes(`\`${key.replace(/[^.]+$/, "")}\${`);
    expect(Object.keys(en).filter((key) => !isUsed(key))).toEqual([]);
  });
});
