// Plays the demo's acts in the browser: starts the demo that MEDTRAIL names, runs demo.spec.mjs and market.spec.mjs against it, and ends it.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const binary = process.env.MEDTRAIL;
if (!binary) throw new Error("MEDTRAIL names no binary: `cargo xtask test` plays the acts, with the one it built");
/** A chain, contracts, four gateways and 5,000 lines, on a machine that is slow. */
const STARTS_WITHIN_MS = 300_000;

const freePort = () => new Promise((found) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => found(port));
  });
});
const ended = (child) => new Promise((done) => child.once("exit", (code) => done(code ?? 1)));

const folder = await mkdtemp(join(tmpdir(), "medtrail-acts-"));
const demo = spawn(binary, ["demo", "--data-dir", folder, "--listen", "127.0.0.1:0", "--rpc-port", String(await freePort())], {
  stdio: ["ignore", "pipe", "inherit"],
});
const demoEnded = ended(demo);
const running = new Promise((found, lost) => {
  const said = [];
  createInterface({ input: demo.stdout }).on("line", (line) => {
    said.push(line);
    if (line.startsWith("Running at ")) found();
  });
  void demoEnded.then((code) => lost(new Error(`the demo ended with ${code}:\n${said.join("\n")}`)));
  setTimeout(() => lost(new Error(`the demo does not run after ${STARTS_WITHIN_MS / 1000} s:\n${said.join("\n")}`)), STARTS_WITHIN_MS).unref();
});

let code = 1;
try {
  await running;
  const specs = ["demo.spec.mjs", "market.spec.mjs"].map((name) => fileURLToPath(new URL(name, import.meta.url)));
  const marker = join(folder, "demo.json");
  JSON.parse(await readFile(marker, "utf8"));
  code = await ended(spawn(process.execPath, ["--test", "--test-concurrency=1", "--test-timeout=120000", ...specs], {
    stdio: "inherit", env: { ...process.env, MEDTRAIL_DEMO: marker },
  }));
} finally {
  demo.kill("SIGINT");
  await demoEnded;
  await rm(folder, { recursive: true, force: true });
}
process.exit(code);
