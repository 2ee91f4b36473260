// The Foundry binaries inside node_modules. Not the npm launchers: those end with 0 when tests fail, and orphan what
// they started.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const ARCHITECTURES = { x64: "amd64", arm64: "arm64" };

export function binary(tool) {
  const platform = `${process.platform}-${ARCHITECTURES[process.arch]}`;
  const suffix = process.platform === "win32" ? ".exe" : "";
  return require.resolve(`@foundry-rs/${tool}-${platform}/bin/${tool}${suffix}`);
}

/** A chain of its own on a free port, which ends with this process. */
export async function startAnvil(...options) {
  const child = spawn(binary("anvil"), ["--port", "0", ...options], { stdio: ["ignore", "pipe", "inherit"] });
  child.unref();
  process.once("exit", () => child.kill());
  const lines = createInterface({ input: child.stdout });
  const url = await new Promise((found, failed) => {
    child.once("error", failed);
    child.once("exit", (code) => failed(new Error(`anvil ended with ${code} before it listened`)));
    lines.on("line", (line) => {
      const address = /^Listening on (\S+)/.exec(line)?.[1];
      if (address) found(`http://${address}`);
    });
  });
  let id = 0;
  const rpc = async (method, ...params) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: ++id, method, params }),
    });
    const { result, error } = await response.json();
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  };
  child.stdout.unref();
  return { url, rpc };
}
