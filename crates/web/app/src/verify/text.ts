// This part's own dictionary, in the scheme of the page's: another language is another file with the same keys.
import en from "./en.json";

export type Key = keyof typeof en;

const whole = new Intl.NumberFormat("en-GB");

export function t(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  return en[key].replace(/\{(\w+)\}/g, (all, name: string) => {
    const value = values[name];
    return value === undefined ? all : typeof value === "number" ? whole.format(value) : value;
  });
}

/** A text whose key is made of data, or null if there is none for it. */
export function tIf(key: string): string | null {
  return key in en ? en[key as Key] : null;
}
