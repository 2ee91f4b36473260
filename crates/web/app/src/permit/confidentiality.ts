// How private data are: HL7 v3-Confidentiality in its order, and the marks that a permission has to name. The same stand in
// crates/permit (confidentiality.rs).

const LEVELS = ["U", "L", "M", "N", "R", "V"] as const;

export type Confidentiality = (typeof LEVELS)[number];

/** Whether a code is one of the levels. */
export function isLevel(code: string): code is Confidentiality {
  return (LEVELS as readonly string[]).includes(code);
}

/** Whether a level stands at or above another. */
export function isAtLeast(level: Confidentiality, other: Confidentiality): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(other);
}

/** A mark that a scope may name (`_security`): in English and in Estonian. */
export const MARKS: ReadonlyMap<string, readonly [english: string, estonian: string]> = new Map([
  ["R", ["restricted", "piiratud juurdepääs"]],
  ["V", ["very restricted", "rangelt piiratud juurdepääs"]],
  ["BH", ["behavioural health", "käitumine ja vaimne tervis"]],
  ["COGN", ["cognitive disability", "kognitiivsed häired"]],
  ["DVD", ["developmental disability", "arenguhäired"]],
  ["EMOTDIS", ["emotional disturbance", "tundeeluhäired"]],
  ["ETH", ["substance use", "alkoholi ja uimastite tarvitamine"]],
  ["ETHUD", ["alcohol use disorder", "alkoholi tarvitamise häire"]],
  ["GDIS", ["genetic disease", "geneetilised haigused"]],
  ["HIV", ["HIV", "HIV"]],
  ["MH", ["mental health", "vaimne tervis"]],
  ["MST", ["sexual violence in the army", "seksuaalvägivald sõjaväes"]],
  ["OPIOIDUD", ["opioid use disorder", "opioidide tarvitamise häire"]],
  ["PREGNANT", ["pregnancy", "rasedus"]],
  ["PSY", ["psychiatry", "psühhiaatria"]],
  ["PSYTHPN", ["psychotherapy notes", "psühhoteraapia märkmed"]],
  ["SCA", ["sickle cell anaemia", "sirprakuline aneemia"]],
  ["SDV", ["sexual or domestic violence", "seksuaal- või perevägivald"]],
  ["SEX", ["sexual and reproductive health", "seksuaal- ja reproduktiivtervis"]],
  ["SPI", ["specially protected", "erikaitse all olevad andmed"]],
  ["STD", ["sexually transmitted disease", "sugulisel teel levivad haigused"]],
  ["SUD", ["substance use disorder", "sõltuvushäired"]],
  ["TBOO", ["to be discussed first", "enne avaldamist patsiendiga läbi rääkimata"]],
  ["VIO", ["violence", "vägivald"]],
]);
