#!/usr/bin/env node
// The Solidity compiler of the npm package `solc` (WebAssembly), with as much of the native
// command line as forge and foundry-compilers use. Path options are accepted and ignored: the
// callers put every source into the standard JSON.
"use strict";

const fs = require("node:fs");
const solc = require("solc");

// A pipe takes 64 KiB at a time and may refuse for a while; process.exit would cut the rest off.
function writeWhole(text) {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

const asked = process.argv.slice(2);
if (asked.includes("--version")) {
  writeWhole(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else if (asked.includes("--standard-json")) {
  writeWhole(solc.compile(fs.readFileSync(0, "utf8")));
} else {
  process.stderr.write("solc.cjs answers --version and --standard-json only\n");
  process.exitCode = 1;
}
