// Chromium as a person would run it, with ears for everything that must not happen.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { startServer } from "./server.mjs";

const require = createRequire(import.meta.url);
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** The words of the log that no patient should have to know (docs: the words). */
const FORBIDDEN = /\b(subject|controller|custodian|actor|entry|entries|commitment|roster|checkpoint|anchor|refusal|binding|withheld|merkle|hash|hashes)\b/gi;

const CHROMIUM = process.env.MEDTRAIL_CHROMIUM ?? find("chromium") ?? find("chromium-browser") ?? find("google-chrome");

function find(name) {
  try {
    return execFileSync("which", [name], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

let browser;

/** Call once a file: the browser is shared by its tests. */
export function useBrowser() {
  before(async () => {
    assert.ok(CHROMIUM, "no chromium on PATH: install it (Debian: apt-get install chromium) or name it in MEDTRAIL_CHROMIUM");
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync"],
    });
  });
  after(() => browser?.close());
}

/**
 * Opens a page on a server of its own, and fails the test afterwards if the page broke its content security policy, threw, or
 * asked anybody else for anything, but whom it `mayAsk`.
 */
export async function open(test, { hash = "", path = "/", server: given, wallet, mayAsk = [], context: options = {}, ...rest } = {}) {
  const server = given ?? await startServer(rest);
  const context = await browser.newContext({ timezoneId: "Europe/Tallinn", locale: "en-GB", viewport: { width: 1200, height: 900 }, ...options });
  context.setDefaultTimeout(10_000);
  const faults = [];
  await context.exposeBinding("__violated", (_, what) => faults.push(`policy: ${what}`));
  await context.addInitScript(() => addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sample }) =>
    window.__violated(`${violatedDirective} ${blockedURI} ${sample}`)));
  if (wallet) await wallet.install(context);
  if (server.data) await context.clock.setSystemTime(server.data.nowMs);
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(`thrown: ${error.message}`));
  page.on("console", (message) => {
    const isNetwork = /Failed to load resource/.test(message.text());
    if (message.type() === "error" && !isNetwork) faults.push(`console: ${message.text()}`);
  });
  const origins = [server.url, ...mayAsk].map((url) => new URL(url).origin);
  page.on("request", (request) => {
    const url = request.url();
    if (/^https?:/.test(url) && !origins.includes(new URL(url).origin)) faults.push(`a third party was asked: ${url}`);
  });
  test.after(async () => {
    await context.close();
    if (!given) await server.stop();
    assert.deepEqual(faults, []);
  });
  await page.goto(`${server.url}${path}${hash}`);
  return { page, server, context, faults };
}

/** Signs in with the demo's wallet as Mari, through its red window. */
export async function signInAsMari(page) {
  await page.getByRole("button", { name: "Sign in with Demo wallet" }).click();
  const prompt = page.getByRole("dialog", { name: "Who are you?" });
  await prompt.getByLabel("Mari Tamm").check();
  await prompt.getByRole("button", { name: "Connect" }).click();
  await page.getByRole("dialog", { name: "Sign in" }).getByRole("button", { name: "Approve" }).click();
  await page.getByText(/No gap/).waitFor();
}

/** Opens the trail of Mari, or of somebody else, through the demo's wallet. */
export async function openTrail(t, options = {}) {
  const opened = await open(t, { hash: "#/trail", ...options });
  await opened.page.getByRole("button", { name: "Sign in with Demo wallet" }).click();
  const prompt = opened.page.getByRole("dialog", { name: "Who are you?" });
  await prompt.getByLabel(options.as ?? "Mari Tamm").check();
  await prompt.getByRole("button", { name: "Connect" }).click();
  await opened.page.getByRole("dialog", { name: "Sign in" }).getByRole("button", { name: "Approve" }).click();
  await opened.page.getByRole("heading", { name: "All lines" }).waitFor();
  return opened;
}

/** Until the live stream stands. */
export const live = (page) => page.waitForFunction(() => document.querySelector(".state.live"));

/** A picture for the documentation, if asked for: MEDTRAIL_PICTURES=1. */
export async function takePicture(page, name) {
  if (process.env.MEDTRAIL_PICTURES !== "1") return;
  const folder = fileURLToPath(new URL("../../../docs/pictures/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  const { length } = await page.screenshot({ path: `${folder}${name}.png`, animations: "disabled" });
  assert.ok(length < 150_000, `${name}.png has ${length} bytes`);
}

/** No fault that axe can find, in the levels A and AA of WCAG 2.0 to 2.2. */
export async function assertAccessible(page, what) {
  // As tall as the page: else the bar at the bottom, which scrolling moves out of the way, covers a part of some button.
  const { width } = page.viewportSize();
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  const before = page.viewportSize();
  await page.setViewportSize({ width, height: Math.max(before.height, height + 200) });
  // Through the debugger and not a script element, which the page's policy would refuse.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
  await page.setViewportSize(before);
  assert.deepEqual(violations.map(({ id, nodes }) => `${what}: ${id} at ${nodes.map(({ target }) => target.join(" ")).join(", ")}`), []);
}

/** What a patient reads, hidden parts included, without the drawer that explains the check. */
export async function assertPlainWords(page, what) {
  const text = await page.evaluate(() => {
    const copy = document.body.cloneNode(true);
    for (const technical of copy.querySelectorAll("[data-technical], script, style")) technical.remove();
    const read = [...copy.querySelectorAll("*")].flatMap((element) =>
      ["aria-label", "title", "placeholder", "alt"].map((name) => element.getAttribute(name) ?? ""));
    return `${copy.textContent} ${read.join(" ")}`;
  });
  assert.ok(text.length > 200, `${what} has words`);
  assert.deepEqual(text.match(FORBIDDEN) ?? [], [], what);
}

/** Nothing is wider than the screen (WCAG 1.4.10). */
export async function assertFits(page, what) {
  const wide = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    return [...document.querySelectorAll("body *")].filter((element) => element.getBoundingClientRect().right > clientWidth + 1)
      .map((element) => `${element.tagName}.${element.className}`);
  });
  assert.deepEqual(wide, [], what);
}
