// What the rest of the page uses of the independent verifier.
export type * from "./types";
export { addressIn, aliasDocument, aliasOf } from "./alias";
export { bindingFields, bindingOf, statementOf, type Binding } from "./binding";
export { documentBytes, textOf } from "./bytes";
export { agreeing, ChainError, reader, REGISTRY, rpc, wallet, type ChainReader } from "./chain";
export { commitmentOf, documentHash, kindWord } from "./entry";
export { checkLine, checkPart, type CheckedLine, type CheckedPart, type Problem } from "./line";
export { leafHash, nodeHash, rootOf, sha256, verifyConsistency, verifyInclusion } from "./merkle";
export { FormatError, parseProof, parseReceipt, parseTrust } from "./parse";
export { digest, domainSeparator, placeHash, reportHash, structHash } from "./schema";
export { recover } from "./signature";
export { isOperator, operatorSpeaks, organisationOf, speaksAt } from "./trust";
export { verifyProof, worst } from "./verify";
