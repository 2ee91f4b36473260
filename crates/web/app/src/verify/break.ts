// Changing one byte of a file, and saying which one in words.

export interface Broken {
  bytes: Uint8Array;
  at: number;
  /** The field that the byte stands in, as a path: `report.timeMs`. */
  field: string;
  from: string;
  to: string;
}

const DIGITS = "0123456789";
const HEX = "0123456789abcdef";
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/**
 * One byte becomes another of its kind, so that what fails is what the byte meant: a digit becomes the next digit, a
 * letter the next letter. Anything else has its lowest bit turned.
 */
export function breakAt(bytes: Uint8Array, at: number): Broken {
  const byte = bytes[at];
  if (byte === undefined) throw new RangeError(`no byte ${at}`);
  const letter = String.fromCharCode(byte);
  const isHex = HEX.includes(letter) && /0x[0-9a-f]*$/.test(ascii(bytes.subarray(Math.max(0, at - 140), at)));
  const ring = isHex ? HEX : (/[0-9]/.test(letter) ? DIGITS : /[A-Za-z]/.test(letter) ? BASE64 : null);
  const next = ring === null ? byte ^ 1 : ring.charCodeAt((ring.indexOf(letter) + 1) % ring.length);
  const changed = bytes.slice();
  changed[at] = next;
  return { bytes: changed, at, field: fieldAt(ascii(bytes), at), from: shown(byte), to: shown(next) };
}

/** One letter a byte, so that places in the text are places in the file. */
function ascii(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function shown(byte: number): string {
  return byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `0x${byte.toString(16).padStart(2, "0")}`;
}

/** The field that a byte stands in. Files of ours have one field a line, two blanks of indent a level. */
export function fieldAt(text: string, at: number): string {
  const path: string[] = [];
  const before = text.slice(0, at);
  const rest = text.slice(at).split("\n", 1)[0] ?? "";
  for (const line of `${before}${rest}`.split("\n")) {
    const [, indent = "", name] = /^( *)(?:"(\w+)":)?/.exec(line) ?? [];
    const level = indent.length / 2;
    if (level < 1) continue;
    path.length = Math.min(path.length, level);
    if (name !== undefined) path[level - 1] = name;
    path.length = name === undefined ? Math.min(path.length, level - 1) : level;
  }
  return path.join(".") || "{ }";
}

/** Places that are worth breaking: the field's last name, and the byte in the middle of its value. */
export function placesOf(bytes: Uint8Array): { name: string; at: number }[] {
  const text = ascii(bytes);
  const wanted = [
    "index", "subject", "actor", "timeMs", "text", "base64", "signed", "signature", "path", "checkpoint", "root", "tx",
    "reportHash", "placeHash",
  ];
  return wanted.flatMap((name) => {
    const value = new RegExp(`^ *"${name}": (?:\\[\\s*)?"?(?:0x)?`, "m").exec(text);
    if (value === null) return [];
    const start = value.index + value[0].length;
    const line = /^[^\n"\\]*/.exec(text.slice(start))?.[0].replace(/,$/, "") ?? "";
    return line === "" ? [] : [{ name, at: start + Math.floor(line.length / 2) }];
  });
}
