// What stands in the files of a delivery, as a person reads it: one thing after the other, and glucose as a curve.
import { textOf } from "../ledger/bytes";
import { get, list, parseTree, text } from "../reading/json";
import { dayOf } from "../trail/days";
import type { Contents } from "./delivery";
import type { Entry, Listed } from "./manifest";

export interface Delivered {
  readonly entry: Entry;
  /** Null: it is no JSON that this page reads. */
  readonly resource: unknown;
  readonly type: string | null;
  /** `http://loinc.org|15074-8` */
  readonly code: string | null;
}

const codingsOf = (resource: unknown): readonly string[] =>
  ["code", "vaccineCode", "medicationCodeableConcept"].flatMap((name) => list(get(resource, name), "coding")).flatMap((coding) => {
    const [system, code] = [text(coding, "system"), text(coding, "code")];
    return system !== null && code !== null ? [`${system}|${code}`] : [];
  });

/** Each record of a delivery, in the manifest's order. */
export function recordsOf({ manifest, files }: Contents<Listed>): readonly Delivered[] {
  const parsed = new Map<string, readonly unknown[]>();
  for (const [path, bytes] of files) {
    if (path.endsWith(".ndjson")) parsed.set(path, (textOf(bytes) ?? "").split("\n").map((line) => parseTree(new TextEncoder().encode(line))));
    else if (manifest.made !== null) parsed.set(path, bundleOf(bytes));
    else parsed.set(path, [parseTree(bytes)]);
  }
  return manifest.records.map((entry) => {
    const resource = parsed.get(entry.path)?.[(entry.number ?? 1) - 1] ?? null;
    return { entry, resource, type: text(resource, "resourceType"), code: codingsOf(resource)[0] ?? null };
  });
}

/** A bundle has more values than one record may: it is taken apart without the limit for one. */
function bundleOf(bytes: Uint8Array): readonly unknown[] {
  try {
    return list(JSON.parse(textOf(bytes) ?? ""), "entry").map((one) => get(one, "resource"));
  } catch {
    return [];
  }
}

/** Glucose in blood, serum, plasma or tissue fluid (LOINC). */
const GLUCOSE: ReadonlySet<string> = new Set([
  "15074-8", "2339-0", "2345-7", "14749-6", "14743-9", "2341-6", "41653-7", "41652-9", "74774-1", "99504-3", "105272-9", "1558-6", "14771-0",
].map((code) => `http://loinc.org|${code}`));

export interface Point {
  readonly atMs: number;
  readonly value: number;
}

export interface Curve {
  readonly unit: string;
  readonly points: readonly Point[];
  /** Measurements of glucose without a day: de-identified by the year only. */
  readonly undated: number;
}

/** Values of one record at most: a year of one in five minutes. */
const SAMPLES_MAX = 120_000;

/** What a sensor wrote as one row of numbers (FHIR's SampledData), each with its time. */
function sampled(resource: unknown): { readonly unit: string; readonly points: readonly Point[] } | null {
  const told = get(resource, "valueSampledData");
  const origin = get(told, "origin");
  const [zero, unit, periodMs, data] = [get(origin, "value"), text(origin, "code") ?? text(origin, "unit"), get(told, "period"), text(told, "data")];
  const factor = get(told, "factor") ?? 1;
  const startMs = Date.parse(text(get(resource, "effectivePeriod"), "start") ?? text(resource, "effectiveDateTime") ?? "");
  const isOne = (get(told, "dimensions") ?? 1) === 1 && typeof factor === "number" && typeof zero === "number" && typeof periodMs === "number" && periodMs > 0;
  if (!isOne || unit === null || data === null || Number.isNaN(startMs)) return null;
  const points = data.split(" ", SAMPLES_MAX).flatMap((word, place) => {
    // E, L and U stand for what could not be measured.
    const value = word === "" ? NaN : Number(word);
    return Number.isFinite(value) ? [{ atMs: startMs + place * periodMs, value: zero + factor * value }] : [];
  });
  return { unit, points };
}

/** The measurements of glucose, if there are any: in the unit that most of them have, by time. */
export function glucoseOf(records: readonly Delivered[]): Curve | null {
  const byUnit = new Map<string, Point[]>();
  let undated = 0;
  for (const { resource, type } of records) {
    if (type !== "Observation" || !codingsOf(resource).some((code) => GLUCOSE.has(code))) continue;
    const row = sampled(resource);
    if (row !== null) byUnit.set(row.unit, [...(byUnit.get(row.unit) ?? []), ...row.points]);
    const quantity = get(resource, "valueQuantity");
    const [value, unit] = [get(quantity, "value"), text(quantity, "code") ?? text(quantity, "unit")];
    const told = text(resource, "effectiveDateTime") ?? text(resource, "effectiveInstant") ?? "";
    if (typeof value !== "number" || !Number.isFinite(value) || unit === null) continue;
    const atMs = /^\d{4}-\d\d-\d\d/.test(told) ? Date.parse(told) : NaN;
    if (Number.isNaN(atMs)) undated += 1;
    else byUnit.set(unit, [...(byUnit.get(unit) ?? []), { atMs, value }]);
  }
  const [most] = [...byUnit].sort(([, a], [, b]) => b.length - a.length);
  if (most === undefined) return undated > 0 ? { unit: "", points: [], undated } : null;
  return { unit: most[0], points: most[1].sort((a, b) => a.atMs - b.atMs), undated };
}

/** So many points that a screen shows them: of each stretch of time the lowest and the highest stay. */
export function thinned(points: readonly Point[], most: number): readonly Point[] {
  if (points.length <= most) return points;
  const size = Math.ceil((2 * points.length) / most);
  const thin: Point[] = [];
  for (let at = 0; at < points.length; at += size) {
    const stretch = points.slice(at, at + size);
    const low = stretch.reduce((a, b) => (b.value < a.value ? b : a));
    const high = stretch.reduce((a, b) => (b.value > a.value ? b : a));
    thin.push(...(low === high ? [low] : low.atMs < high.atMs ? [low, high] : [high, low]));
  }
  return thin;
}

export interface Day {
  readonly day: string;
  readonly count: number;
  readonly low: number;
  readonly high: number;
}

/** The same by day: what a table can show. */
export function byDay(points: readonly Point[]): readonly Day[] {
  const days = new Map<string, Day>();
  for (const { atMs, value } of points) {
    const day = dayOf(atMs);
    const known = days.get(day);
    days.set(day, { day, count: (known?.count ?? 0) + 1, low: Math.min(known?.low ?? value, value), high: Math.max(known?.high ?? value, value) });
  }
  return [...days.values()];
}
