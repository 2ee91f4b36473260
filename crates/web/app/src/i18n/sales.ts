// The words of what is sold and bought: loaded with it, so that nobody else waits for them.
import texts from "./sales.json";
import { fill, formOf, type Values } from ".";

export type SalesKey = keyof typeof texts;
/** What a count stands before, as in the other dictionary. */
export type SalesPluralKey = SalesKey extends infer K ? (K extends `${infer Stem}.other` ? Stem : never) : never;

export function s(key: SalesKey, values: Values = {}): string {
  return fill(texts[key], values);
}

export function sn(stem: SalesPluralKey, count: number, values: Values = {}): string {
  return fill(texts[`${stem}.${formOf(count)}`], { count, ...values });
}

/** A text that may be missing: then another one. */
export function sOr(key: string, fallback: string): string {
  return key in texts ? texts[key as SalesKey] : fallback;
}
