// What a person reads in the wallet: one text for each document and language, made of the other fields and nothing else.
// With any other text a document is invalid. The same as in crates/permit; tests/vectors/statements.json holds both to it.
import { checksummed } from "../ledger/schema";
import type { Hex } from "../ledger/types";
import { MARKS } from "./confidentiality";
import type { Document } from "./documents";
import { PURPOSES, parsePurposes } from "./purposes";
import { WORDS } from "./resources";
import { parseScopes, SECURITY, type Scope } from "./scopes";

export type Language = "en" | "et";

const LANGUAGES: readonly Language[] = ["en", "et"];

/** Words that several templates use. */
interface Words {
  place: 0 | 1;
  verbs: Readonly<Record<string, string>>;
  and: string;
  all: string;
  type(name: string): string;
  mark(words: string): string;
  where(name: string, value: string): string;
  units: readonly string[];
  rights: Readonly<Record<string, string>>;
  time(date: string, clock: string): string;
}

const ENGLISH: Words = {
  place: 0,
  verbs: { c: "add", r: "see", u: "change", d: "delete", s: "search" },
  and: "and",
  all: "all data",
  type: (name) => `data of type ${name}`,
  mark: (words) => ` (only what is marked: ${words})`,
  where: (name, value) => ` (only where ${name} is ${value})`,
  units: ["days", "hours", "minutes", "seconds"],
  rights: {
    "SEE PERMIT": "see the health data and who used them, give permissions and take them back",
    SEE: "see the health data and who used them",
    PERMIT: "give permissions and take them back",
  },
  time: (date, clock) => `${date} ${clock} UTC`,
};

const ESTONIAN: Words = {
  place: 1,
  verbs: { c: "lisada", r: "vaadata", u: "muuta", d: "kustutada", s: "otsida" },
  and: "ja",
  all: "kõiki andmeid",
  type: (name) => `andmeid tüübiga ${name}`,
  mark: (words) => ` (ainult märkega: ${words})`,
  where: (name, value) => ` (ainult kui ${name} on ${value})`,
  units: ["päeva", "tundi", "minutit", "sekundit"],
  rights: {
    "SEE PERMIT": "vaadata terviseandmeid ja seda, kes neid on kasutanud, anda lube ja neid tagasi võtta",
    SEE: "vaadata terviseandmeid ja seda, kes neid on kasutanud",
    PERMIT: "anda lube ja neid tagasi võtta",
  },
  time: (date, clock) => `${date.split("-").reverse().join(".")} kell ${clock} UTC`,
};

function enumerate(things: readonly string[], and: string): string {
  const [last, ...first] = [...things].reverse();
  return first.length === 0 ? `${last}` : `${first.reverse().join(", ")} ${and} ${last}`;
}

function act(scope: Scope, words: Words): string {
  const verbs = enumerate([...scope.interactions].map((letter) => words.verbs[letter] ?? ""), words.and);
  return `${verbs} ${data(scope, words)}`;
}

function data({ resource, parameter }: Scope, words: Words): string {
  const all = resource === null ? words.all : WORDS.get(resource)?.[words.place] ?? words.type(resource);
  if (parameter === null) return all;
  const mark = parameter.name === SECURITY ? MARKS.get(parameter.value) : undefined;
  const only = mark === undefined ? words.where(parameter.name, parameter.value) : words.mark(mark[words.place]);
  return `${all}${only}`;
}

/** Which data a scope is about, in the words of the statements. */
export function dataOf(scope: Scope, language: Language): string {
  return data(scope, language === "en" ? ENGLISH : ESTONIAN);
}

function until(timeS: number, words: Words): string {
  const [date = "", clock = ""] = new Date(timeS * 1000).toISOString().split("T");
  return words.time(date, clock.slice(0, 5));
}

/** A span of time in the largest unit that it has a whole number of. */
function span(seconds: number, { units }: Words): string {
  const sizes = [86_400, 3600, 60, 1];
  const unit = sizes.findIndex((size) => seconds % size === 0);
  return `${seconds / (sizes[unit] ?? 1)} ${units[unit]}`;
}

const ZERO: Hex = `0x${"0".repeat(64)}`;

/** The statement of a document; null if it has none, or its fields cannot be told. */
export function render(document: Document, language: Language): string | null {
  const isEnglish = language === "en";
  const words = isEnglish ? ENGLISH : ESTONIAN;
  if ("grant" in document) {
    const scopes = parseScopes(document.grant.scopes);
    const codes = parsePurposes(document.grant.purposes);
    if (scopes === null || codes === null) return null;
    const [grantee, subject] = [checksummed(document.grant.grantee), checksummed(document.grant.subject)];
    const acts = scopes.map((scope) => act(scope, words)).join("; ");
    const reasons = codes.map((code) => PURPOSES.get(code)?.[isEnglish ? "english" : "estonian"]).join("; ");
    const end = until(document.grant.expiresAt, words);
    return isEnglish
      ? `I allow ${grantee} to do this with the health data of ${subject}: ${acts}. Only for: ${reasons}. Data marked as `
        + "restricted or sensitive are included only where that mark is named here. "
        + `Valid until ${end}; it can be taken back at any time. (Medtrail grant 1)`
      : `Luban aadressi ${grantee} omanikul teha isiku ${subject} terviseandmetega järgmist: ${acts}. `
        + `Lubatud eesmärgid: ${reasons}. Piiratud juurdepääsuga või tundlikuks märgitud andmeid hõlmab luba ainult siis, `
        + `kui see märge on siin nimetatud. Kehtib kuni ${end}; loa võib igal ajal tagasi võtta. (Medtrail luba 1)`;
  }
  if ("changeApproval" in document) {
    const { record, fromVersion: from, toVersion: to, expiresAt } = document.changeApproval;
    const [custodian, subject] = [checksummed(document.changeApproval.custodian), checksummed(document.changeApproval.subject)];
    const end = until(expiresAt, words);
    if (isEnglish) {
      const change = from === ZERO ? `add record ${record} as version ${to}`
        : to === ZERO ? `delete record ${record}, whose version is ${from}`
          : `change record ${record} from version ${from} to version ${to}`;
      return `I allow ${custodian} to make one change in the health data of ${subject}: ${change}. It allows no other `
        + `change, and this one only once. Valid until ${end}. (Medtrail approval 1)`;
    }
    const change = from === ZERO ? `lisada kirje ${record} versiooniga ${to}`
      : to === ZERO ? `kustutada kirje ${record}, mille versioon on ${from}`
        : `muuta kirjet ${record}, senine versioon ${from}, uus versioon ${to}`;
    return `Luban aadressi ${custodian} omanikul teha isiku ${subject} terviseandmetes ühe muudatuse: ${change}. `
      + `Ühtegi teist muudatust see ei luba ja seda ainult ühe korra. Kehtib kuni ${end}. (Medtrail heakskiit 1)`;
  }
  if ("recoveryPolicy" in document) {
    const { trustees, needed, delayS } = document.recoveryPolicy;
    const subject = checksummed(document.recoveryPolicy.subject);
    const names = trustees.map(checksummed).join(", ");
    const wait = span(delayS, words);
    return isEnglish
      ? `If I lose my key: of the ${trustees.length} trustees named here, ${needed} together may move control of ${subject} `
        + `to a new address. Waiting time: ${wait}; until then my present key can stop it. Each trustee alone can stop new `
        + `permissions and sales at once. Trustees: ${names}. (Medtrail recovery 1)`
      : `Kui kaotan oma võtme, võivad siin nimetatud usaldusisikud isiku ${subject} konto juhtimise uuele aadressile üle `
        + `anda. Usaldusisikuid kokku: ${trustees.length}; neist vaja: ${needed}. Ooteaeg: ${wait}; selle aja jooksul saab mu `
        + "praegune võti üleandmise peatada. Iga usaldusisik saab üksi uute lubade andmise ja müügi kohe peatada. "
        + `Usaldusisikud: ${names}. (Medtrail taaste 1)`;
  }
  if ("delegation" in document) {
    const [delegate, subject] = [checksummed(document.delegation.delegate), checksummed(document.delegation.subject)];
    const rights = words.rights[document.delegation.rights];
    const end = until(document.delegation.expiresAt, words);
    if (rights === undefined) return null;
    return isEnglish
      ? `I let ${delegate} act for ${subject}. Allowed: ${rights}. Not allowed: sell data, appoint others, take over control. `
        + `Valid until ${end}; it can be taken back at any time. (Medtrail delegation 1)`
      : `Volitan aadressi ${delegate} omanikku tegutsema isiku ${subject} eest. Lubatud: ${rights}. Keelatud: müüa andmeid, `
        + `volitada teisi, võtta üle konto juhtimist. Kehtib kuni ${end}; volituse võib igal ajal tagasi võtta. `
        + "(Medtrail volitus 1)";
  }
  if ("guardianship" in document) {
    const { subject, ground } = document.guardianship;
    const [guardian, custodian] = [checksummed(document.guardianship.guardian), checksummed(document.guardianship.custodian)];
    const rights = words.rights[document.guardianship.rights];
    const end = until(document.guardianship.expiresAt, words);
    if (rights === undefined) return null;
    return isEnglish
      ? `${guardian} acts for the person with the number ${subject}, who has no key. Ground: ${ground}. Allowed: ${rights}. `
        + `Not allowed: sell data, appoint others, take over control. ${custodian} has checked this and can end it at any `
        + `time. Valid until ${end}. (Medtrail guardianship 1)`
      : `Aadressi ${guardian} omanik tegutseb isiku eest, kelle number on ${subject} ja kellel endal võtit ei ole. `
        + `Alus: ${ground}. Lubatud: ${rights}. Keelatud: müüa andmeid, volitada teisi, võtta üle konto juhtimist. Seda on `
        + `kontrollinud aadressi ${custodian} omanik, kes võib selle igal ajal lõpetada. Kehtib kuni ${end}. `
        + "(Medtrail esindus 1)";
  }
  if ("erase" in document) {
    const { log, upToOrdinal: line, expiresAt } = document.erase;
    const subject = checksummed(document.erase.subject);
    const end = until(expiresAt, words);
    if (isEnglish) {
      const what = line === 0 ? `Erase the records that log ${log} keeps about ${subject}. Its lines stay.`
        : `Erase what log ${log} keeps about ${subject}: all records, and the lines up to line ${line}. What was permitted `
          + "until it is done ends with them.";
      return `${what} It is done 30 days after this is recorded and can be cancelled until then; afterwards nobody can bring `
        + "it back. What the law obliges to keep stays until that duty ends. This request must be recorded by "
        + `${end}. (Medtrail erasure 2)`;
    }
    const what = line === 0
      ? `Palun kustutada terviseandmed, mida logi ${log} isiku ${subject} kohta hoiab. Read jäävad alles.`
      : `Palun kustutada see, mida logi ${log} isiku ${subject} kohta hoiab: kõik terviseandmed ja read kuni reani ${line}. `
        + "Nendega lõpeb kõik, mis kustutamiseni lubati.";
    return `${what} Kustutatakse 30 päeva pärast selle palve kirjapanekut; seni saab selle tühistada, hiljem ei saa keegi `
      + "andmeid taastada. Mida seadus kohustab säilitama, jääb alles kuni selle kohustuse lõpuni. Palve tuleb kirja panna "
      + `hiljemalt ${end}. (Medtrail kustutamine 2)`;
  }
  return null;
}

/** In which language the statement says what the fields say; null: in none. */
export function languageOf(document: Document): Language | null {
  const [fields] = Object.values(document) as [object];
  const statement = "statement" in fields ? fields.statement : null;
  return LANGUAGES.find((language) => statement !== null && render(document, language) === statement) ?? null;
}
