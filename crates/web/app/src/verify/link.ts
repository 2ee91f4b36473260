// A file in a link's fragment: the part that no browser sends to a server.
import { base64, base64Bytes } from "../ledger/bytes";
import { parseProof, PROOF_BYTES_MAX, spell } from "../ledger/parse";
import { shownPlaceHash } from "../ledger/entry";

/** The bytes of `#proof=…` (base64url) or `#proof-gz=…` (gzip in base64url); null if the fragment holds neither. */
export async function fileOf(fragment: string): Promise<Uint8Array | null> {
  const [, packed, encoded] = /^#proof(-gz)?=([\w-]+)$/.exec(fragment) ?? [];
  if (encoded === undefined) return null;
  const standard = encoded.replaceAll("-", "+").replaceAll("_", "/");
  const bytes = base64Bytes(standard.padEnd(Math.ceil(standard.length / 4) * 4, "="));
  if (bytes === null) throw new Error("not base64url");
  return packed === undefined ? bytes : inflate(bytes);
}

/** No more than a proof may have is unpacked: a few bytes can be made to mean gigabytes. */
async function inflate(packed: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([packed as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("gzip"));
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    size += part.value.length;
    if (size > PROOF_BYTES_MAX) {
      await reader.cancel();
      throw new Error("too long");
    }
    parts.push(part.value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** The fragment for a file. What was said, and where it stands in a trail, do not go into a link. */
export async function fragmentOf(bytes: Uint8Array): Promise<string> {
  const shared = withoutContent(bytes);
  const stream = new Blob([shared as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream("gzip"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const encoded = base64(packed).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return `#proof-gz=${encoded}`;
}

function withoutContent(bytes: Uint8Array): Uint8Array {
  try {
    const proof = parseProof(bytes);
    return spell({ ...proof, details: null, place: { hash: shownPlaceHash(proof.place) } });
  } catch {
    // A receipt holds neither; a broken file is passed on as broken as it is.
    return bytes;
  }
}
