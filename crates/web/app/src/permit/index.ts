// What a person allows, checked on their own device: what the rest of the page uses of it.
export {
  documentId, documentOf, named, problemOf, signedOf, signerOf, statementOf, subjectOf, TYPES, type ChangeApproval,
  type Delegation, type Document, type Erase, type Grant, type Guardianship, type RecoveryPolicy, type Registries, type Revoke, type RevokeAll, type Signed,
} from "./documents";
export { isAtLeast, isLevel, MARKS, type Confidentiality } from "./confidentiality";
export { CONFIRM_MS } from "./clock";
export { permits } from "./permits";
export { BREAK_GLASS, parsePurposes, PURPOSES, purposeCovers } from "./purposes";
export { WORDS } from "./resources";
export { parseScope, parseScopes, ScopeError, scopeCovers, scopeText, type Data, type Scope } from "./scopes";
export { dataOf, languageOf, render, type Language } from "./statements";
export type { Act, ChainState, Held, Need, Pseudonym, Refusal, Verdict, World } from "./world";
