// The EIP-712 structs of the log and their hashes. An encoding is one 32-byte word a field (EIP-712 hashes what has no
// fixed length): no general ABI encoder is needed, and none is trusted.
import { getAddress, keccak256 } from "viem/utils";
import { concat, hexToBytes, isHex, utf8 } from "./bytes";
import type { Hex, Place, Report } from "./types";

export type Field = readonly [
  type: "bytes32" | "address" | "address[]" | "uint8" | "uint64" | "uint256" | "string", name: string,
];

/** The fields of every struct in their order; a second order would be another document. */
const STRUCTS = {
  Report: [
    ["bytes32", "log"], ["bytes32", "eventId"], ["uint8", "kind"], ["uint8", "action"], ["uint64", "timeMs"],
    ["bytes32", "subject"], ["address", "actor"], ["bytes32", "record"], ["bytes32", "fromVersion"],
    ["bytes32", "toVersion"], ["bytes32", "permission"], ["bytes32", "details"],
  ],
  Place: [["uint64", "ordinal"], ["bytes32", "previous"], ["uint64", "receivedMs"], ["bytes32", "salt"]],
  ReportBatch: [["bytes32", "root"], ["uint64", "count"]],
  Checkpoint: [["bytes32", "log"], ["uint64", "size"], ["bytes32", "root"], ["uint64", "timeMs"]],
  Binding: [
    ["string", "statement"], ["address", "subject"], ["address", "custodian"], ["bytes32", "pseudonym"],
    ["uint64", "expiresAt"],
  ],
  Coverage: [
    ["bytes32", "log"], ["address", "custodian"], ["uint64", "fromMs"], ["uint64", "toMs"], ["uint64", "reports"],
  ],
  EIP712Domain: [
    ["string", "name"], ["string", "version"], ["uint256", "chainId"], ["address", "verifyingContract"],
  ],
} as const satisfies Record<string, readonly Field[]>;

export type StructName = keyof typeof STRUCTS;

/** EIP-712's encodeType. */
export function typeString(name: StructName): string {
  return typeStringOf(name, STRUCTS[name]);
}

/** The same of a struct that another module has the fields of. */
export function typeStringOf(name: string, fields: readonly Field[]): string {
  return `${name}(${fields.map((field) => field.join(" ")).join(",")})`;
}

export const ENTRY_TYPE = `Entry(Report report,Place place)${typeString("Place")}${typeString("Report")}`;

export function keccak(bytes: Uint8Array): Hex {
  return keccak256(bytes);
}

const typeHashes = new Map<string, Uint8Array>();

function typeHash(type: string): Uint8Array {
  const known = typeHashes.get(type);
  if (known !== undefined) return known;
  const hash = keccak256(utf8(type), "bytes");
  typeHashes.set(type, hash);
  return hash;
}

function uint(value: unknown, bits: number): Uint8Array {
  const whole = typeof value === "bigint" || Number.isSafeInteger(value) ? BigInt(value as bigint | number) : -1n;
  if (whole < 0n || whole >> BigInt(bits) !== 0n) throw new RangeError(`not a uint${bits}: ${String(value)}`);
  return hexToBytes(`0x${whole.toString(16).padStart(64, "0")}`);
}

function word([type, name]: Field, value: unknown): Uint8Array {
  switch (type) {
    case "bytes32":
      if (isHex(value, 32)) return hexToBytes(value);
      break;
    case "address":
      if (isHex(value, 20)) return concat(new Uint8Array(12), hexToBytes(value));
      break;
    case "address[]":
      if (!Array.isArray(value)) break;
      return keccak256(concat(...value.map((item) => word(["address", name], item))), "bytes");
    case "string":
      if (typeof value === "string") return keccak256(utf8(value), "bytes");
      break;
    default:
      return uint(value, Number(type.slice(4)));
  }
  throw new TypeError(`${name} is no ${type}`);
}

/** EIP-712's hashStruct. Fields may be numbers or, above 2^53, bigints. Throws on a value that is not of its type. */
export function structHash(name: StructName, value: object): Hex {
  return structHashOf(name, STRUCTS[name], value);
}

/** The same of a struct that another module has the fields of. */
export function structHashOf(name: string, fields: readonly Field[], value: object): Hex {
  const words = fields.map((field) => word(field, (value as Record<string, unknown>)[field[1]]));
  return keccak256(concat(typeHash(typeStringOf(name, fields)), ...words));
}

export const reportHash = (report: Report): Hex => structHash("Report", report);
export const placeHash = (place: Place): Hex => structHash("Place", place);

/** The hash of an `Entry` from those of its halves: the commitment. */
export function entryHash(report: Hex, place: Hex): Hex {
  return keccak256(concat(typeHash(ENTRY_TYPE), hexToBytes(report), hexToBytes(place)));
}

/** The domain of every document that a registry owns. */
export interface Domain {
  chainId: number | bigint;
  registry: Hex;
}

export function domainSeparator({ chainId, registry }: Domain): Hex {
  return structHash("EIP712Domain", { name: "Medtrail", version: "1", chainId, verifyingContract: registry });
}

/** What is signed: the EIP-712 digest of a struct. */
export function digest(struct: Hex, domain: Domain): Hex {
  return keccak256(concat(Uint8Array.of(0x19, 0x01), hexToBytes(domainSeparator(domain)), hexToBytes(struct)));
}

/** `keccak256(abi.encode(chainId, registry, opener, origin))`: the log's id. */
export function logId(chainId: number, registry: Hex, opener: Hex, origin: string): Hex {
  const text = utf8(origin);
  const padded = new Uint8Array(Math.ceil(text.length / 32) * 32);
  padded.set(text);
  const address = (value: Hex) => word(["address", "address"], value);
  return keccak256(
    concat(uint(chainId, 256), address(registry), address(opener), uint(128, 256), uint(text.length, 256), padded),
  );
}

/** An address as people compare it (EIP-55). */
export function checksummed(address: Hex): Hex {
  return getAddress(address);
}
