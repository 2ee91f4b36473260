// Tokens on the demo's chain: those that the contracts' own tests use, compiled here.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { createPublicClient, createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";

// The compiler is pinned beside the chain.
const solc = createRequire(new URL("../../../anvil/package.json", import.meta.url))("solc");
const file = (path) => readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), "utf8");

/** What a token does with a transfer: the number that tests/contracts/utils/Tokens.sol gives it. */
export const TAKES_A_FEE = 7;

let compiled;
function contracts() {
  if (compiled) return compiled;
  const settings = { evmVersion: "prague", outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } } };
  const input = { language: "Solidity", sources: { "Tokens.sol": { content: file("tests/contracts/utils/Tokens.sol") } }, settings };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: (path) => ({ contents: file(`node_modules/${path}`) }) }));
  const wrong = (output.errors ?? []).filter(({ severity }) => severity === "error");
  if (wrong.length > 0) throw new Error(wrong.map(({ formattedMessage }) => formattedMessage).join("\n"));
  return (compiled = output.contracts["Tokens.sol"]);
}

/** Deploys one, paid by this key. `write` calls it, and waits until that stands in a block. */
export async function deployToken(name, { rpc, chainId, privateKey }) {
  const chain = { id: chainId, name: "demo", nativeCurrency: { name: "ETH", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: [rpc] } } };
  const wallet = createWalletClient({ account: privateKeyToAccount(privateKey), chain, transport: http(rpc) });
  const node = createPublicClient({ chain, transport: http(rpc), pollingInterval: 500 });
  const { abi, evm } = contracts()[name];
  const mined = (hash) => node.waitForTransactionReceipt({ hash });
  const { contractAddress: address } = await mined(await wallet.deployContract({ abi, bytecode: `0x${evm.bytecode.object}` }));
  return {
    address,
    write: async (functionName, ...args) => mined(await wallet.writeContract({ address, abi, functionName, args })),
    read: (functionName, ...args) => node.readContract({ address, abi, functionName, args }),
  };
}
