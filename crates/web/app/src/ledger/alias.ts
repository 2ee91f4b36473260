// How a fresh address of a person joins their own: one document, signed with both keys, as crates/ledger has it.
import { type Binding, signs } from "./binding";
import { documentBytes, isHex, textOf } from "./bytes";
import { sha256 } from "./merkle";
import { checksummed } from "./schema";
import type { Hex, Line, TrustFile } from "./types";

const BINDING_KIND = 11;
const VERSION = "medtrail/alias-v1";
const MEMBERS = ["countersignature", "document", "signature", "version"];
const LANGUAGES = ["en", "et"] as const;

export type AliasLanguage = (typeof LANGUAGES)[number];

const wordOf = (address: Hex): Hex => `0x${address.slice(2).padStart(64, "0")}`;

/** The address that a subject id is; null for a pseudonym. */
export function addressIn(subject: string): Hex | null {
  return subject.startsWith(`0x${"0".repeat(24)}`) ? `0x${subject.slice(26).toLowerCase()}` : null;
}

/** What the person reads in the wallet, twice: template 1 of its language, the same as in Rust. */
export function aliasStatement({ subject, custodian, expiresAt }: Omit<Binding, "statement">, language: AliasLanguage): string {
  const [own, alias] = [checksummed(subject), checksummed(custodian)];
  const [day = "", clock = ""] = new Date(expiresAt * 1000).toISOString().slice(0, 16).split("T");
  return language === "en"
    ? `${alias} is an address of mine, to sell under. Whoever signs in as ${own} sees what is reported about both. Whoever signs in as `
      + `${alias} sees nothing about ${own}. Neither can permit anything for the other. It cannot be undone. Valid until ${day} ${clock} UTC. `
      + "(Medtrail alias 1)"
    : `${alias} on minu aadress, mille alt müün. Kes logib sisse aadressiga ${own}, näeb, mida kummagi kohta teatatakse. Kes logib sisse `
      + `aadressiga ${alias}, ei näe aadressi ${own} kohta midagi. Kumbki ei saa teise eest midagi lubada. Seda ei saa tagasi võtta. `
      + `Kehtib kuni ${day.split("-").reverse().join(".")} kell ${clock} UTC. (Medtrail müügiaadress 1)`;
}

/** The document that joins `alias` to `subject`; `expiresAt` in seconds since 1970. */
export function aliasDocument(subject: Hex, alias: Hex, expiresAt: number, language: AliasLanguage): Binding {
  const fields = { subject, custodian: alias, pseudonym: wordOf(alias), expiresAt };
  return { ...fields, statement: aliasStatement(fields, language) };
}

function documentIn(value: unknown): Binding | null {
  if (typeof value !== "object" || value === null) return null;
  const { subject, custodian, pseudonym, expiresAt, statement } = value as Record<string, unknown>;
  const lower = (text: unknown) => (typeof text === "string" ? text.toLowerCase() : text);
  const [person, alias, word, time] = [lower(subject), lower(custodian), lower(pseudonym), Number(expiresAt)];
  if (!isHex(person, 20) || !isHex(alias, 20) || word !== wordOf(alias) || typeof statement !== "string") return null;
  // Years that a calendar has; and an address joins another one.
  if (!Number.isSafeInteger(time) || time <= 0 || time > 253_402_300_799 || person === alias) return null;
  const zero = `0x${"0".repeat(40)}`;
  return person === zero || alias === zero ? null : { subject: person, custodian: alias, pseudonym: wordOf(alias), expiresAt: time, statement };
}

/**
 * The alias that a line of kind 11 joins: the statement is that of the fields, it lived when the line was made, and both keys
 * signed it. Null: it joins none.
 */
export async function aliasOf({ report, details }: Line, trust: TrustFile): Promise<Binding | null> {
  if (report.kind !== BINDING_KIND || details === null) return null;
  const bytes = documentBytes(details);
  if (bytes === null || sha256(bytes) !== report.details) return null;
  try {
    const told = JSON.parse(textOf(bytes) ?? "") as Record<string, unknown>;
    const document = documentIn(told["document"]);
    if (document === null || told["version"] !== VERSION || Object.keys(told).sort().join() !== MEMBERS.join()) return null;
    if (!LANGUAGES.some((language) => aliasStatement(document, language) === document.statement)) return null;
    if (report.timeMs >= document.expiresAt * 1000) return null;
    const isSigned = await signs(document.subject, told["signature"], document, trust)
      && await signs(document.custodian, told["countersignature"], document, trust);
    return isSigned ? document : null;
  } catch {
    // What is not of this form joins nothing: the server may send anything.
    return null;
  }
}
