// Prices: decimal texts of wei, never numbers of JavaScript.

/** What a price may be: 128 bits. */
const WEI_MAX = (1n << 128n) - 1n;

/** Wei of an amount that somebody typed in ether, exactly; null: it is none. A comma is a point here. */
export function weiOf(text: string): string | null {
  const [, whole = "", fraction = ""] = /^(\d{1,21})(?:[.,](\d{1,18}))?$/.exec(text.trim()) ?? [];
  if (whole === "") return null;
  const wei = BigInt(whole + fraction.padEnd(18, "0"));
  return wei > 0n && wei <= WEI_MAX ? wei.toString() : null;
}

/** Wei as ether, exactly. */
export function etherOf(wei: string | bigint): string {
  const digits = wei.toString().padStart(19, "0");
  const [whole, fraction] = [digits.slice(0, -18), digits.slice(-18).replace(/0+$/, "")];
  return fraction === "" ? whole : `${whole}.${fraction}`;
}
