import { svelte } from "@sveltejs/vite-plugin-svelte";
import { svelteTesting } from "@testing-library/svelte/vite";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig(({ mode }) => ({
  plugins: [svelte({ configFile: false }), ...(mode === "test" ? [svelteTesting()] : [])],
  build: {
    // What Debian's and all current browsers of 2024 understand; nothing is compiled down to older ones.
    target: "es2022",
    // `default-src 'none'`: no data: fonts, no inline module of Vite's own.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: {
        index: at("index.html"),
        verify: at("verify/index.html"),
        "demo-wallet": at("src/demo-wallet.ts"),
      },
      output: {
        // The story of the demo names this file, so its name does not change with its content.
        entryFileNames: (chunk) => (chunk.name === "demo-wallet" ? "demo/wallet.js" : "assets/[name]-[hash].js"),
      },
      // An entry that is loaded by name keeps what it exports.
      preserveEntrySignatures: "allow-extension" as const,
    },
  },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.ts"],
    // A busy machine fails no test; one that hangs still ends.
    testTimeout: 60_000,
    env: { TZ: "Europe/Tallinn" },
  },
}));
