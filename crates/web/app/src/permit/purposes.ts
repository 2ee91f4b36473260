// Purposes of use: the tree of HL7 v3-ActReason below PurposeOfUse (2018-08-12), and the codes in plain words. The same
// stand in crates/permit (purposes.rs).

const PURPOSES_MAX = 16;
const PURPOSES_BYTES_MAX = 256;

/** The glass was broken: somebody could not be asked. */
export const BREAK_GLASS = "BTG";

interface Purpose {
  /** The code above it; null right below PurposeOfUse. */
  parent: string | null;
  english: string;
  estonian: string;
}

export const PURPOSES: ReadonlyMap<string, Purpose> = new Map(([
  ["HMARKT", null, "marketing", "turundus"],
  ["HOPERAT", null, "running the organisation, also its training, quality and legal work", "asutuse töö korraldamine, ka koolitus, kvaliteet ja õigusasjad"],
  ["CAREMGT", "HOPERAT", "organising care", "ravi korraldamine"],
  ["DONAT", "HOPERAT", "donation of organs or tissue", "elundi- ja koedoonorlus"],
  ["FRAUD", "HOPERAT", "finding fraud", "pettuste avastamine"],
  ["GOV", "HOPERAT", "tasks of the state", "riigi ülesanded"],
  ["HACCRED", "HOPERAT", "accreditation of the organisation", "asutuse akrediteerimine"],
  ["HCOMPL", "HOPERAT", "checking that rules are kept", "nõuete täitmise kontroll"],
  ["HDECD", "HOPERAT", "matters of a deceased person", "surnud isiku asjaajamine"],
  ["HDIRECT", "HOPERAT", "keeping a directory", "teatmiku pidamine"],
  ["HDM", "HOPERAT", "managing how care is delivered", "raviteenuste juhtimine"],
  ["HLEGAL", "HOPERAT", "legal matters", "õigusasjad"],
  ["HOUTCOMS", "HOPERAT", "measuring outcomes of care", "ravitulemuste hindamine"],
  ["HPRGRP", "HOPERAT", "reporting on health programmes", "terviseprogrammide aruandlus"],
  ["HQUALIMP", "HOPERAT", "improving quality", "kvaliteedi parandamine"],
  ["HSYSADMIN", "HOPERAT", "running computer systems, also their labels and metadata", "infosüsteemide haldamine, ka märgised ja metaandmed"],
  ["LABELING", "HSYSADMIN", "labelling data", "andmete märgistamine"],
  ["METAMGT", "HSYSADMIN", "managing metadata", "metaandmete haldamine"],
  ["MEMADMIN", "HOPERAT", "administration of members", "kindlustatute asjaajamine"],
  ["MILCDM", "HOPERAT", "military command", "sõjaväeline juhtimine"],
  ["PATADMIN", "HOPERAT", "administration of patients", "patsientide asjaajamine"],
  ["PATSFTY", "HOPERAT", "patient safety", "patsiendiohutus"],
  ["PERFMSR", "HOPERAT", "measuring performance", "tulemuslikkuse mõõtmine"],
  ["RECORDMGT", "HOPERAT", "keeping records", "andmekogude haldamine"],
  ["SYSDEV", "HOPERAT", "developing computer systems, also tests", "infosüsteemide arendamine, ka testimine"],
  ["HTEST", "SYSDEV", "tests of computer systems", "infosüsteemide testimine"],
  ["TRAIN", "HOPERAT", "training of staff", "töötajate koolitamine"],
  ["HPAYMT", null, "payment and insurance", "ravi eest tasumine ja kindlustus"],
  ["CLMATTCH", "HPAYMT", "papers that belong to a bill", "arve lisad"],
  ["COVAUTH", "HPAYMT", "approval of costs", "kulude hüvitamise kinnitamine"],
  ["COVERAGE", "HPAYMT", "insurance, also joining it and what it covers", "kindlustus, ka sellega liitumine ja selle ulatus"],
  ["ELIGDTRM", "COVERAGE", "deciding about insurance", "kindlustusõiguse määramine"],
  ["ELIGVER", "COVERAGE", "checking insurance", "kindlustusõiguse kontrollimine"],
  ["ENROLLM", "COVERAGE", "joining an insurance", "kindlustusega liitumine"],
  ["MILDCRG", "COVERAGE", "discharge from the army", "sõjaväeteenistusest vabastamine"],
  ["REMITADV", "HPAYMT", "notice of a payment", "makseteatis"],
  ["HRESCH", null, "health research of any kind", "igasugused terviseuuringud"],
  ["BIORCH", "HRESCH", "biomedical research", "biomeditsiinilised uuringud"],
  ["CLINTRCH", "HRESCH", "research on clinical trials", "kliinilised uuringud"],
  ["CLINTRCHNPC", "CLINTRCH", "research on clinical trials without care", "kliinilised uuringud ilma ravita"],
  ["CLINTRCHPC", "CLINTRCH", "research on clinical trials with care", "kliinilised uuringud koos raviga"],
  ["PRECLINTRCH", "CLINTRCH", "research before a clinical trial", "kliinilise uuringu eeluuringud"],
  ["DSRCH", "HRESCH", "research on one disease", "ühe haiguse uuringud"],
  ["POARCH", "HRESCH", "research on ancestry", "rahvastiku päritolu uuringud"],
  ["TRANSRCH", "HRESCH", "translational research", "siirdeuuringud"],
  ["PATRQT", null, "at the request of the person, their family or who acts for them", "isiku enda, tema pere või esindaja soovil"],
  ["FAMRQT", "PATRQT", "at the request of the family", "pere soovil"],
  ["PWATRNY", "PATRQT", "at the request of who acts for the person", "esindaja soovil"],
  ["SUPNWK", "PATRQT", "support by people close to the person", "lähedaste tugi"],
  ["PUBHLTH", null, "public health, also disasters and threats", "rahvatervis, ka õnnetused ja ohud"],
  ["DISASTER", "PUBHLTH", "help in a disaster", "abi suurõnnetuse korral"],
  ["THREAT", "PUBHLTH", "averting a threat", "ohu tõrjumine"],
  ["TREAT", null, "treatment, also in an emergency or a clinical trial", "ravi, ka hädaolukorras või kliinilises uuringus"],
  ["CLINTRL", "TREAT", "treatment in a clinical trial", "ravi kliinilises uuringus"],
  ["COC", "TREAT", "coordination of care", "ravi koordineerimine"],
  ["ETREAT", "TREAT", "emergency treatment, also where the person cannot be asked", "erakorraline ravi, ka siis, kui isikult ei saa küsida"],
  ["BTG", "ETREAT", "an emergency in which the person cannot be asked", "hädaolukord, kus isikult ei saa küsida"],
  ["ERTREAT", "ETREAT", "treatment in an emergency room", "ravi erakorralise meditsiini osakonnas"],
  ["POPHLTH", "TREAT", "health of groups of people", "rahvastikurühmade tervis"],
] as const).map(([code, parent, english, estonian]) => [code, { parent, english, estonian }]));

/** Whether a permission for one purpose covers another: it is the same, or stands above it. */
export function purposeCovers(granted: string, asked: string): boolean {
  let code: string | null | undefined = PURPOSES.has(asked) ? asked : null;
  while (code != null) {
    if (code === granted) return true;
    code = PURPOSES.get(code)?.parent;
  }
  return false;
}

/** Purposes with one blank between them; null if that is no such list. */
export function parsePurposes(text: string): string[] | null {
  const codes = text.split(" ");
  const isList = text.length <= PURPOSES_BYTES_MAX && codes.length <= PURPOSES_MAX
    && codes.every((code, place) => PURPOSES.has(code) && codes.indexOf(code) === place);
  return isList ? codes : null;
}
