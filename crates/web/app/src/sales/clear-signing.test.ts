// @vitest-environment node
import type { Abi, AbiFunction, AbiParameter } from "viem";
import { getAddress, parseAbiItem, toFunctionSelector } from "viem/utils";
import { describe, expect, it } from "vitest";
import { REGISTRY } from "../ledger/chain";
import { kindWord } from "../ledger/entry";
import { typeString, typeStringOf } from "../ledger/schema";
import { repositoryFile, vectors } from "../ledger/testing";
import { TYPES } from "../permit/documents";
import { SALE_TYPES, saleTypeString } from "../permit/sale";
import { CONSENT_REGISTRY, DATA_MARKET } from "./abi";
import { COHORT_MARKET } from "../calls/abi";

/** `contracts/erc7730/`: what wallets show of our calls and documents (ERC-7730, version 2). */
interface Field {
  readonly path: string; readonly label: string; readonly format: string; readonly visible?: "always" | "optional" | "never" | { readonly ifNotIn: readonly string[] };
  readonly params?: Readonly<Record<string, unknown>>;
}
interface Format {
  readonly intent: string; readonly interpolatedIntent?: string; readonly fields: readonly Field[];
}
interface Bound {
  readonly deployments: readonly { readonly chainId: number; readonly address: string }[]; readonly domain?: unknown;
}
interface Descriptor {
  readonly $schema: string; readonly context: { readonly contract?: Bound; readonly eip712?: Bound };
  readonly metadata: { readonly owner: string; readonly contractName: string; readonly enums?: Readonly<Record<string, Readonly<Record<string, string>>>> };
  readonly display: { readonly formats: Readonly<Record<string, Format>> };
}

const json = <T>(path: string) => JSON.parse(new TextDecoder().decode(repositoryFile(path))) as T;
const CONTRACTS = { AnchorRegistry: REGISTRY, ConsentRegistry: CONSENT_REGISTRY, DataMarket: DATA_MARKET, CohortMarket: COHORT_MARKET } as const;
type Contract = keyof typeof CONTRACTS;
const NAMES = Object.keys(CONTRACTS) as Contract[];
const calldata = (name: Contract) => json<Descriptor>(`contracts/erc7730/calldata-${name}.json`);
const eip712 = (name: Contract) => json<Descriptor>(`contracts/erc7730/eip712-${name}.json`);

/** Each leaf of what is signed: its path as a descriptor names it, and its type. */
type Leaves = ReadonlyMap<string, string>;

/** What says nothing to a person, and is all that a wallet may keep to itself. */
const MAY_BE_HIDDEN = ["salt", "signature", "offerSignature", "policySignature", "v", "r", "s", "path", "consistencyProof"];

const FORMATS: Readonly<Record<string, RegExp>> = {
  raw: /^(?:string|bytes\d*(?:\[\])?|u?int\d+|address)$/, addressName: /^address$/, date: /^uint64$|^uint256$/, duration: /^uint(?:32|64)$/, tokenAmount: /^uint256$/, enum: /^uint8$/,
};

function problems(leaves: Leaves, format: Format, enums: Descriptor["metadata"]["enums"]): string[] {
  const found: string[] = [];
  const named = format.fields.map(({ path }) => path).filter((path) => !path.startsWith("@."));
  found.push(...[...leaves.keys()].filter((path) => !named.includes(path)).map((path) => `${path}: not told`));
  found.push(...named.filter((path, place) => named.indexOf(path) !== place).map((path) => `${path}: told twice`));
  for (const { path, label, format: how, visible, params } of format.fields) {
    const type = path === "@.value" ? "value" : leaves.get(path);
    if (type === undefined) found.push(`${path}: does not exist`);
    else if (type === "value" ? how !== "amount" : !(FORMATS[how]?.test(type) ?? false)) found.push(`${path}: a ${type} as ${how}`);
    if (label === "" || label.length > 20) found.push(`${path}: the label ${label}`);
    if (visible === "never" && !MAY_BE_HIDDEN.includes(path.split(".").at(-1) ?? "")) found.push(`${path}: hidden`);
    if (how === "tokenAmount" && (leaves.get(String(params?.["tokenPath"])) !== "address" || params?.["nativeCurrencyAddress"] !== `0x${"0".repeat(40)}`)) found.push(`${path}: of no token`);
    if (how === "date" && params?.["encoding"] !== "timestamp") found.push(`${path}: a date of no kind`);
    if (how === "enum" && enums?.[String(params?.["$ref"]).replace("$.metadata.enums.", "")] === undefined) found.push(`${path}: no such list of words`);
    // An address is never told as a name that a site could have chosen.
    if (how === "addressName" && !Array.isArray(params?.["sources"])) found.push(`${path}: names from anywhere`);
  }
  if (format.intent === "" || format.intent.length > 30) found.push(`the intent ${format.intent}`);
  const within = [...(format.interpolatedIntent ?? "").matchAll(/\{([^}]*)\}/g)].map(([, path]) => path ?? "");
  found.push(...within.filter((path) => !named.includes(path)).map((path) => `{${path}} in the intent: does not exist`));
  return found;
}

/** A parameter as people write ABIs, without the word "tuple". */
function written({ type, name, ...rest }: AbiParameter): string {
  const inner = "components" in rest ? `(${(rest.components as readonly AbiParameter[]).map(written).join(",")})${type.slice("tuple".length)}` : type;
  return `${inner} ${name ?? ""}`;
}

function leavesOfAbi(inputs: readonly AbiParameter[], before = ""): [string, string][] {
  return inputs.flatMap((one): [string, string][] => {
    const path = `${before}${one.name ?? ""}`;
    if ("components" in one) return leavesOfAbi(one.components as readonly AbiParameter[], one.type.endsWith("[]") ? `${path}.[].` : `${path}.`);
    return [one.type === "address[]" ? [`${path}.[]`, "address"] : [path, one.type]];
  });
}

/** `Offer(…,Terms terms)Terms(…)`: EIP-712's own text of a type. */
function leavesOfType(type: string): Leaves {
  const structs = new Map([...type.matchAll(/(\w+)\(([^)]*)\)/g)].map(([, name = "", fields = ""]) => [name, fields.split(",").map((field) => field.split(" ") as [string, string])]));
  const [first] = structs.keys();
  const walk = (name: string, before: string): [string, string][] => (structs.get(name) ?? []).flatMap(([of, field]): [string, string][] => {
    if (structs.has(of)) return walk(of, `${before}${field}.`);
    return [of.endsWith("[]") ? [`${before}${field}.[]`, of.slice(0, -2)] : [`${before}${field}`, of]];
  });
  return new Map(walk(first ?? "", ""));
}

describe.each(NAMES)("calls of %s", (name) => {
  const { context, display, metadata } = calldata(name);
  const { abi } = json<{ abi: Abi }>(`abi/${name}.json`);
  const calls = abi.filter((one): one is AbiFunction => one.type === "function" && one.stateMutability !== "view" && one.stateMutability !== "pure");

  it("are told at the address that their code has, and each of them", () => {
    expect(context.contract?.deployments.map(({ address }) => address)).toEqual([getAddress(CONTRACTS[name])]);
    expect(Object.keys(display.formats).sort()).toEqual(calls.map((one) => `${one.name}(${one.inputs.map(written).join(",")})`).sort());
  });

  it("have every field in it, under a form that fits, and nothing hidden that says something", () => {
    expect(calls.length).toBeGreaterThan(4);
    for (const call of calls) {
      const key = Object.keys(display.formats).find((one) => one.startsWith(`${call.name}(`)) ?? "";
      // A wallet knows a call by its selector, which it counts from this text.
      expect(toFunctionSelector(parseAbiItem(`function ${key}` as never) as AbiFunction)).toBe(toFunctionSelector(call));
      const format = display.formats[key] as Format;
      expect(problems(new Map(leavesOfAbi(call.inputs)), format, metadata.enums), call.name).toEqual([]);
      expect(format.fields.some(({ path }) => path === "@.value"), call.name).toBe(call.stateMutability === "payable");
    }
  });
});

/** Every document that a person signs in a wallet: of the page's own types, and of the vectors that the contracts are held to. */
function documents(): Record<Contract, string[]> {
  const contract = vectors<{ documents: { typeString: string }[] }>("permissions").documents.map((one) => one.typeString);
  const ours = Object.values(TYPES).map(({ name, owner, fields }) => [owner, typeStringOf(name, fields)] as const);
  const sales = (Object.keys(SALE_TYPES) as (keyof typeof SALE_TYPES)[]).filter((name) => !["Terms", "Order", "Cohort"].includes(name));
  const isOfMany = (name: string) => name.startsWith("Cohort");
  return {
    AnchorRegistry: [...ours.flatMap(([owner, type]) => (owner === "anchor" ? [type] : [])), ...(["Binding", "Report", "ReportBatch"] as const).map(typeString)],
    ConsentRegistry: [...new Set([...ours.flatMap(([owner, type]) => (owner === "consent" ? [type] : [])), ...contract])],
    DataMarket: sales.filter((name) => !isOfMany(name)).map(saleTypeString),
    // That one part is deleted is said under the market that sold it.
    CohortMarket: sales.filter((one) => isOfMany(one) || one === "Deletion").map(saleTypeString),
  };
}

describe.each(NAMES)("documents under %s", (name) => {
  const { context, display, metadata } = eip712(name);

  it("are told under their domain, and each of them", () => {
    expect(context.eip712).toMatchObject({ domain: { name: "Medtrail", version: "1" }, deployments: [{ address: getAddress(CONTRACTS[name]) }] });
    expect(Object.keys(display.formats).sort()).toEqual(documents()[name].sort());
  });

  it("have every field in it, under a form that fits, and nothing hidden that says something", () => {
    for (const [type, format] of Object.entries(display.formats)) {
      expect(problems(leavesOfType(type), format, metadata.enums), type).toEqual([]);
      // The sentence that was made for people is never left to a wallet's choice.
      for (const { path, visible } of format.fields) if (path.endsWith("statement")) expect([type, visible]).toEqual([type, undefined]);
    }
  });
});

it("a report is told in the log's own words", () => {
  const { enums } = eip712("AnchorRegistry").metadata;
  const kinds = Object.entries(enums?.["kind"] ?? {});
  expect(kinds.map(([number]) => kindWord(Number(number)))).toEqual(kinds.map(([, word]) => word));
  expect(kindWord(kinds.length + 1)).toBe("other");
  const letters = Object.keys(enums?.["action"] ?? {}).filter((number) => number !== "0").map((number) => String.fromCharCode(Number(number)));
  expect(letters.sort().join("")).toBe("CDERU");
});

it("both of a contract name the same chains, where nothing else can ever stand at that address", () => {
  for (const name of NAMES) {
    const [calls, signed] = [calldata(name), eip712(name)];
    expect(signed.context.eip712?.deployments).toEqual(calls.context.contract?.deployments);
    for (const { $schema, metadata } of [calls, signed]) expect([$schema, metadata.owner, metadata.contractName]).toEqual(["https://eips.ethereum.org/assets/eip-7730/erc7730-v2.schema.json", "Medtrail", `Medtrail ${name}`]);
  }
});

it("the check finds a field that is missing, invented, misread, hidden or told twice", () => {
  const leaves = leavesOfType("Pay(address to,uint256 price,address token,uint64 until,bytes32 salt)");
  const who = { sources: ["local"] };
  const fields: Field[] = [
    { path: "to", label: "To", format: "addressName", params: who }, { path: "token", label: "Token", format: "addressName", params: who },
    { path: "price", label: "Price", format: "tokenAmount", params: { tokenPath: "token", nativeCurrencyAddress: `0x${"0".repeat(40)}` } },
    { path: "until", label: "Until", format: "date", params: { encoding: "timestamp" } }, { path: "salt", label: "Salt", format: "raw", visible: "never" },
  ];
  const found = (changed: readonly Field[], interpolatedIntent?: string) => problems(leaves, { intent: "Pay", fields: changed, ...(interpolatedIntent === undefined ? {} : { interpolatedIntent }) }, undefined);
  const [to, token, price, until, salt] = fields as [Field, Field, Field, Field, Field];
  expect(found(fields, "Pay {price} to {to}")).toEqual([]);
  expect(found(fields, "Pay {prise}")).toEqual(["{prise} in the intent: does not exist"]);
  expect(found([to, token, price, salt])).toEqual(["until: not told"]);
  expect(found([...fields, to])).toEqual(["to: told twice"]);
  expect(found([...fields, { path: "from", label: "From", format: "raw" }])).toEqual(["from: does not exist"]);
  expect(found([{ ...to, visible: "never" }, token, price, until, salt])).toEqual(["to: hidden"]);
  expect(found([to, token, { ...price, params: { tokenPath: "until" } }, until, salt])).toEqual(["price: of no token"]);
  expect(found([to, token, price, { ...until, path: "price" }, salt])).toEqual(expect.arrayContaining(["until: not told", "price: told twice"]));
  expect(found([{ ...to, format: "date", params: { encoding: "timestamp" } }, token, price, until, salt])).toEqual(["to: a address as date"]);
  expect(found([{ ...to, params: {} }, token, price, until, { ...salt, label: "x".repeat(21) }])).toHaveLength(2);
});
