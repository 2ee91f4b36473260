// How a pseudonym becomes a person's: the document that the person and an organisation sign, as crates/ledger has it.
import { documentBytes, hexToBytes, isHex, textOf } from "./bytes";
import { sha256 } from "./merkle";
import { checksummed, digest, structHash, type Domain } from "./schema";
import { recover } from "./signature";
import type { Hex, Line, TrustFile } from "./types";

const BINDING_KIND = 11;

/** EIP-712 `Binding`; `expiresAt` in seconds since 1970. */
export interface Binding {
  statement: string;
  subject: Hex;
  custodian: Hex;
  pseudonym: Hex;
  expiresAt: number;
}

/** What the person reads in the wallet: English, template 1, the same as in Rust. `name` is the organisation's. */
export function statementOf(name: string, { subject, custodian, pseudonym, expiresAt }: Omit<Binding, "statement">): string {
  const until = new Date(expiresAt * 1000).toISOString().slice(0, 16).replace("T", " ");
  return `${name} (${checksummed(custodian)}) keeps entries about me under the pseudonym ${pseudonym}. Join them `
    + `with my trail, that of ${checksummed(subject)}. This does not let anybody see or change my data. It `
    + `cannot be undone. Valid until ${until} UTC. (Medtrail binding 1)`;
}

/** The fields of a document as JSON carries it, without the statement; null if one is not of its type. */
export function bindingFields(value: unknown): Omit<Binding, "statement"> | null {
  if (typeof value !== "object" || value === null) return null;
  const { subject, custodian, pseudonym, expiresAt } = value as Record<string, unknown>;
  const lower = (text: unknown) => (typeof text === "string" ? text.toLowerCase() : text);
  const [person, key, name, time] = [lower(subject), lower(custodian), lower(pseudonym), Number(expiresAt)];
  if (!isHex(person, 20) || !isHex(key, 20) || !isHex(name, 32) || !Number.isSafeInteger(time)) return null;
  // Years that a calendar has; and an address is a person already, nobody's pseudonym.
  if (time <= 0 || time > 253_402_300_799 || name.startsWith(`0x${"0".repeat(24)}`)) return null;
  return { subject: person, custodian: key, pseudonym: name, expiresAt: time };
}

/**
 * What a line of kind 11 binds: the statement is that of the fields, it lived when the line was made, both signed it, and
 * the organisation's key is one that the trust file names. Null: it binds nothing.
 */
export async function bindingOf({ report, details }: Line, trust: TrustFile): Promise<Binding | null> {
  if (report.kind !== BINDING_KIND || details === null) return null;
  const bytes = documentBytes(details);
  if (bytes === null || sha256(bytes) !== report.details) return null;
  try {
    const { version, organisation, document, signature, countersignature } = JSON.parse(textOf(bytes) ?? "") as Record<string, unknown>;
    const fields = bindingFields(document);
    const { name } = organisation as { name: unknown };
    const { statement } = document as { statement: unknown };
    if (version !== "medtrail/binding-v1" || fields === null || typeof name !== "string") return null;
    if (statement !== statementOf(name, fields) || report.timeMs >= fields.expiresAt * 1000) return null;
    const isNamed = trust.organisations.some(({ keys }) => keys.some(({ address }) => address === fields.custodian));
    const binding = { ...fields, statement };
    const isSigned = await signs(fields.subject, signature, binding, trust) && await signs(fields.custodian, countersignature, binding, trust);
    return isNamed && isSigned ? binding : null;
  } catch {
    // What is not of this form binds nothing: the server may send anything.
    return null;
  }
}

/** Whether this is a person's or an organisation's signature under the document, for this log. */
export async function signs(who: Hex, signature: unknown, binding: Binding, domain: Domain): Promise<boolean> {
  return await recover(digest(structHash("Binding", binding), domain), hexToBytes(signature as Hex)) === who;
}
