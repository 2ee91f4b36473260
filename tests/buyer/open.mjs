// Opens a delivery with an age library of somebody else (typage), and holds everything in it against
// the hashes: the file's against the entry, the manifest's against the entry's details, each file's
// against the manifest.
import { bech32 } from "@scure/base";
import { Decrypter } from "age-encryption";
import { bytesToHex, hexToBytes, sha256 } from "viem";

const SECRET = "age-secret-key-";

/** The 32 bytes that the market shows, as the key of an age tool. */
export function keyText(k) {
  return bech32.encode(SECRET, bech32.toWords(hexToBytes(k)), 90).toUpperCase();
}

/** The 32 bytes that an order names, of an `age1…`. */
export function recipientBytes(text) {
  const { prefix, words } = bech32.decode(text, 90);
  if (prefix !== "age") throw new Error(`${text} is no X25519 recipient`);
  return bytesToHex(bech32.fromWords(words));
}

async function unseal(bytes, identity) {
  const opener = new Decrypter();
  opener.addIdentity(identity);
  return opener.decrypt(bytes, "uint8array");
}

/** The files of a ustar archive, by name, in their order. */
export function untar(bytes) {
  const files = new Map();
  const text = (from, length) => {
    const field = bytes.subarray(from, from + length);
    const end = field.indexOf(0);
    return new TextDecoder("utf-8", { fatal: true }).decode(end < 0 ? field : field.subarray(0, end));
  };
  for (let at = 0; at + 512 <= bytes.length; ) {
    if (bytes.subarray(at, at + 512).every((byte) => byte === 0)) return files;
    if (text(at + 257, 6) !== "ustar") throw new Error(`no ustar header at ${at}`);
    const [prefix, name] = [text(at + 345, 155), text(at, 100)];
    const path = prefix === "" ? name : `${prefix}/${name}`;
    const size = Number.parseInt(text(at + 124, 12).trim(), 8);
    if (bytes[at + 156] !== 0x30 || !Number.isSafeInteger(size) || files.has(path)) {
      throw new Error(`${path}: no plain file`);
    }
    const start = at + 512;
    if (start + size > bytes.length) throw new Error(`${path}: cut off`);
    files.set(path, bytes.subarray(start, start + size));
    at = start + Math.ceil(size / 512) * 512;
  }
  throw new Error("the archive does not end");
}

function require(is, what) {
  if (!is) throw new Error(`not as it should be: ${what}`);
}

/**
 * Opens the file of an order. `proof` is the entry's proof, `k` the key of the market, `shown` what
 * the contract itself was shown when it paid (null: somebody settled in another way).
 */
export async function open({ bytes, order, orderId, proof, k, identity, shown }) {
  const { report } = proof;
  require(report.kind === 6, "kind of the entry");
  require(report.log === order.offer.log, "log of the entry");
  require(report.record === orderId && report.permission === orderId, "order of the entry");
  const seller = `0x${order.offer.seller.slice(2).toLowerCase().padStart(64, "0")}`;
  require(report.subject === seller, "seller of the entry");
  require(sha256(hexToBytes(k)) === report.fromVersion, "lock of the entry");
  require(sha256(bytes) === report.toVersion, "file of the entry");
  const details = new TextEncoder().encode(proof.details.text);
  require(sha256(details) === report.details, "details of the entry");
  if (shown !== null) {
    // What stands in the payment, and so in a log that the contract looked into.
    require(shown.toVersion === report.toVersion, "file of the payment");
    require(shown.details === report.details, "details of the payment");
    require(shown.k === k, "key of the payment");
  }

  const inner = await unseal(bytes, keyText(k));
  const files = untar(await unseal(inner, identity));
  const [first] = files.keys();
  require(first === "manifest.json", "first file");
  const text = files.get("manifest.json");
  require(sha256(text) === JSON.parse(proof.details.text).manifest, "manifest");
  const manifest = JSON.parse(new TextDecoder().decode(text));
  require(manifest.version === "medtrail/manifest-v1", "version of the manifest");
  require(manifest.order === orderId, "order of the manifest");
  require(manifest.dataset === order.offer.terms.dataset, "dataset of the manifest");
  require(manifest.files.length === files.size - 1, "number of files");
  for (const { path, hash, bytes: size } of manifest.files) {
    const file = files.get(path);
    require(file !== undefined && file.length === size && sha256(file) === hash, path);
  }
  return { manifest, files };
}
