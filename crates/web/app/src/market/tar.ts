// The archive in a delivery: a plain tar (POSIX ustar) in the one form that deliveries have; the twin of archive.rs in
// crates/market. It begins with manifest.json, then has the manifest's files in its order, and nothing else.
import { equal, utf8 } from "../ledger/bytes";

const BLOCK = 512;
export const MANIFEST = "manifest.json";

/** The archive is not that of a delivery. */
export class ArchiveError extends Error {
  override readonly name = "ArchiveError";
}

/** The header that such an archive has before a file. */
export function header(path: string, bytes: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (at: number, text: string) => block.set(utf8(text), at);
  put(0, path);
  put(100, "0000644\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(124, `${bytes.toString(8).padStart(11, "0")}\0`);
  put(136, "00000000000\0");
  put(148, "        ");
  put(156, "0");
  put(257, "ustar\0");
  put(263, "00");
  const sum = block.reduce((all, byte) => all + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}

export const padding = (bytes: number): number => (BLOCK - (bytes % BLOCK)) % BLOCK;

/** Reads one file after the other; each must be there under the header that it should have. */
export class Archive {
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  /** The manifest's bytes: how many there are says their header only. */
  manifest(bytesMax: number): Uint8Array {
    const told = new TextDecoder("latin1").decode(this.bytes.subarray(124, 135));
    const length = /^[0-7]{11}$/.test(told) ? parseInt(told, 8) : NaN;
    if (!(length <= bytesMax)) throw new ArchiveError(`the archive does not begin with ${MANIFEST}`);
    return this.file(MANIFEST, length);
  }

  file(path: string, length: number): Uint8Array {
    const start = this.#at + BLOCK;
    if (!equal(this.bytes.subarray(this.#at, start), header(path, length))) throw new ArchiveError(`the archive has something else where ${path} belongs`);
    const end = start + length;
    const next = end + padding(length);
    if (next > this.bytes.length) throw new ArchiveError(`the archive ends within ${path}`);
    if (this.bytes.subarray(end, next).some((byte) => byte !== 0)) throw new ArchiveError(`something stands behind ${path}`);
    this.#at = next;
    return this.bytes.subarray(start, end);
  }

  /** Two empty blocks, and nothing behind them. */
  end(): void {
    const rest = this.bytes.subarray(this.#at);
    if (rest.length !== 2 * BLOCK || rest.some((byte) => byte !== 0)) throw new ArchiveError("something stands behind the last file of the archive");
  }
}
