// One dictionary a language, and `Intl` for all that has a number or a date in it. A second language is a
// second JSON file with the same keys.
import en from "./en.json";

export type Key = keyof typeof en;
/** What a count stands before: a key that has a form for one and a form for others. */
export type PluralKey = Key extends infer K ? (K extends `${infer Stem}.other` ? Stem : never) : never;
export type Values = Readonly<Record<string, string | number>>;

const language = "en-GB";
const rules = new Intl.PluralRules(language);
const whole = new Intl.NumberFormat(language);

/** Of a count: the form for one, or that for others. */
export function formOf(count: number): "one" | "other" {
  return rules.select(count) === "one" ? "one" : "other";
}

export function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (all, name: string) => {
    const value = values[name];
    if (value === undefined) return all;
    return typeof value === "number" ? whole.format(value) : value;
  });
}

export function t(key: Key, values: Values = {}): string {
  return fill(en[key], values);
}

export function plural(stem: PluralKey, count: number, values: Values = {}): string {
  const key = `${stem}.${rules.select(count)}`;
  const text = key in en ? en[key as Key] : en[`${stem}.other` as Key];
  return fill(text, { count, ...values });
}

/** A text that another module of the page may lack a translation for: then the text itself. */
export function tOr(key: string, fallback: string): string {
  return key in en ? en[key as Key] : fallback;
}

const formats = {
  time: new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" }),
  day: new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long", year: "numeric" }),
  dayMonth: new Intl.DateTimeFormat(language, { day: "numeric", month: "short" }),
  date: new Intl.DateTimeFormat(language, { day: "numeric", month: "long", year: "numeric" }),
  month: new Intl.DateTimeFormat(language, { month: "long", year: "numeric" }),
  moment: new Intl.DateTimeFormat(language, {
    day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
  }),
};

export function when(ms: number, form: keyof typeof formats): string {
  return formats[form].format(ms);
}

export function list(parts: readonly string[]): string {
  return new Intl.ListFormat(language, { type: "conjunction" }).format(parts);
}

const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });

/** "3 minutes ago": the largest unit that fits. */
export function ago(ms: number, nowMs: number): string {
  const seconds = Math.round((ms - nowMs) / 1000);
  for (const [unit, length] of [["day", 86_400], ["hour", 3_600], ["minute", 60]] as const) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return relative.format(seconds, "second");
}

/** "9 h", "3 days": a length of time, in its largest unit. */
export function span(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes >= 2_880) return plural("span.days", Math.floor(minutes / 1_440));
  if (minutes >= 60) return plural("span.hours", Math.floor(minutes / 60));
  return plural("span.minutes", minutes);
}

/** An address or id, its middle cut out; whoever needs it whole copies it. */
export function short(hex: string): string {
  return hex.length > 14 ? `${hex.slice(0, 8)}…${hex.slice(-6)}` : hex;
}
