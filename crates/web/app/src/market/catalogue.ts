// The catalogue, and what somebody looks for in it.
import { purposeCovers } from "../permit/purposes";
import type { Listed } from "../sales/api";

export interface Facets {
  readonly type: string;
  readonly code: string;
  readonly origin: string;
  readonly form: string;
  readonly purpose: string;
}

export const noFacets = (): Facets => ({ type: "", code: "", origin: "", form: "", purpose: "" });

const LIMIT = 50;

/** The path of a page of it. What is empty is not asked for. */
export function pathOf(facets: Facets, before: string | null): string {
  const asked = Object.entries(facets).filter(([, value]: [string, string]) => value.trim() !== "").map(([name, value]: [string, string]) => [name, value.trim()] as const);
  const cursor = before === null ? [] : [["before", before] as const];
  return `/v1/offers?${new URLSearchParams([...asked, ...cursor, ["limit", String(LIMIT)]].map(([name, value]) => [name, value]))}`;
}

/** Whether an offer is what was asked for: an answer of a server is held to the question. */
export function isAsked({ dataset, purpose }: Listed, { type, code, origin, form, purpose: wanted }: Facets): boolean {
  const wantedCode = code.trim();
  return (type === "" || dataset.scopes.some(({ resource }) => resource === null || resource === type))
    && (wantedCode === "" || dataset.codes.length === 0 || dataset.codes.some((one) => one === wantedCode || one.endsWith(`|${wantedCode}`)))
    && (origin === "" || dataset.origin === origin)
    && (form === "" || (dataset.form === "as-it-is" ? dataset.form : dataset.form.profile) === form)
    && (wanted === "" || purposeCovers(purpose, wanted) || purposeCovers(wanted, purpose));
}
