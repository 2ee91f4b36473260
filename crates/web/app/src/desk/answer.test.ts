import { expect, it } from "vitest";
import { sha256, type Hex } from "../ledger";
import { utf8 } from "../ledger/bytes";
import { digest, reportHash } from "../ledger/schema";
import { forWallet } from "../session/report";
import { answerOf } from "./answer";
import { hashTypedData } from "viem";

const question = { id: `0x${"51".repeat(32)}` as Hex, subject: `0x${"52".repeat(32)}` as Hex };
const around = { log: `0x${"11".repeat(32)}` as Hex, actor: `0x${"aa".repeat(20)}` as Hex, nowMs: 1_795_000_000_000 };

it("an answer names its question and its words, and the same words are the same event", () => {
  const { report, details } = answerOf(question, "She was on duty.", around);
  expect(report).toMatchObject({ kind: 12, subject: question.subject, permission: question.id, actor: around.actor });
  expect(report.details).toBe(sha256(utf8(details)));
  expect(answerOf(question, "She was on duty.", { ...around, nowMs: 1 }).report.eventId).toBe(report.eventId);
  expect(answerOf(question, "She was not.", around).report.eventId).not.toBe(report.eventId);
});

it("what the wallet is shown is what is hashed", () => {
  const { report } = answerOf(question, "Words", around);
  const domain = { chainId: 31_338, registry: `0x${"a0".repeat(20)}` as Hex };
  const typed = JSON.parse(forWallet(report, domain)) as Parameters<typeof hashTypedData>[0];
  const { EIP712Domain: _, ...types } = typed.types as Record<string, unknown>;
  expect(hashTypedData({ ...typed, types } as Parameters<typeof hashTypedData>[0])).toBe(digest(reportHash(report), domain));
});
