// Prices: decimal texts of smallest units, never numbers of JavaScript.

/** What a price may be: 128 bits. */
const PRICE_MAX = (1n << 128n) - 1n;
export const ETHER_DECIMALS = 18;
/** More than any token has, and than a price of 128 bits could use. */
export const DECIMALS_MAX = 38;

/** Smallest units of an amount that somebody typed, exactly; null: it is none, or has more decimals. A comma is a point here. */
export function unitsOf(text: string, decimals: number): string | null {
  const [, whole = "", fraction = ""] = /^(\d{1,39})(?:[.,](\d{1,38}))?$/.exec(text.trim()) ?? [];
  if (whole === "" || fraction.length > decimals) return null;
  const units = BigInt(whole + fraction.padEnd(decimals, "0"));
  return units > 0n && units <= PRICE_MAX ? units.toString() : null;
}

/** Smallest units as an amount, exactly. */
export function amountOf(units: string | bigint, decimals: number): string {
  const digits = units.toString().padStart(decimals + 1, "0");
  const [whole, fraction] = [digits.slice(0, digits.length - decimals), digits.slice(digits.length - decimals).replace(/0+$/, "")];
  return fraction === "" ? whole : `${whole}.${fraction}`;
}

/** Wei of an amount in ether. */
export const weiOf = (text: string): string | null => unitsOf(text, ETHER_DECIMALS);

/** Wei as ether, exactly. */
export const etherOf = (wei: string | bigint): string => amountOf(wei, ETHER_DECIMALS);
