import type { Hex, ListedOrganisation, TrustFile } from "../ledger";
import { ask } from "../server/client";
import { explain } from "../session/explain";
import { opening } from "../session/opening";
import { signReport } from "../session/report";
import { answerOf } from "./answer";

/** A question, as the organisation that is asked sees it. */
export interface Question {
  readonly id: Hex;
  readonly index: number;
  readonly subject: Hex;
  readonly line: { readonly index: number; readonly report: { readonly eventId: Hex; readonly timeMs: number; readonly kind: number } | null };
  readonly wants: "reason" | "correction";
  readonly text: string | null;
  readonly askedMs: number;
  readonly dueMs: number;
  readonly state: "open" | "answered" | "answered-late" | "unanswered";
  readonly answer: { readonly text: string; readonly atMs: number; readonly signed: boolean } | null;
}

/** What it billed, and what the person says. */
export interface Claim {
  readonly id: Hex;
  readonly index: number;
  readonly day: string;
  readonly service: { readonly text: string };
  readonly state: "open" | "answered";
  readonly answer: { readonly answer: "yes" | "no"; readonly text: string | null } | null;
}

/** A change it asked for. */
export interface Request {
  readonly id: Hex;
  readonly record: Hex;
  readonly title: string;
  readonly why: string;
  readonly untilMs: number;
  readonly state: "asked" | "approved" | "done" | "declined" | "withdrawn" | "expired";
}

/** A change it made without asking, and what the patient says. */
export interface Emergency {
  readonly id: Hex;
  readonly index: number;
  readonly report: { readonly eventId: Hex; readonly timeMs: number } | null;
  readonly receivedMs: number;
  readonly dueMs: number | null;
  readonly state: "open" | "confirmed" | "denied" | "unanswered" | "nobody-to-ask";
}

const POLL_MS = 5_000;

/** The desk of an organisation, while the page is open. The answers it reads are its own server's words: it has its copies in its gateway. */
export class Desk {
  readonly address: Hex;
  readonly organisation: Hex;
  name = $state("");
  questions = $state.raw<readonly Question[]>([]);
  claims = $state.raw<readonly Claim[]>([]);
  emergencies = $state.raw<readonly Emergency[]>([]);
  requests = $state.raw<readonly Request[]>([]);
  phase = $state<"loading" | "ready" | "failed">("loading");
  error = $state("");
  isBusy = $state(false);
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #stop = new AbortController();

  constructor(address: string, organisation: string) {
    this.address = address.toLowerCase() as Hex;
    this.organisation = organisation.toLowerCase() as Hex;
  }

  open(): Promise<void> {
    return opening(this, this.#stop.signal, async () => {
      const { organisations } = await ask<{ organisations: ListedOrganisation[] }>("/v1/organisations", { signal: this.#stop.signal });
      this.name = organisations.find(({ id }) => id.toLowerCase() === this.organisation)?.name ?? "";
      await this.#read();
      this.#again();
      return "ready";
    });
  }

  close(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  #again(): void {
    this.#timer = setTimeout(async () => {
      await this.#read().catch((error: unknown) => { if (!this.#stop.signal.aborted) this.error = explain(error); });
      if (!this.#stop.signal.aborted) this.#again();
    }, POLL_MS);
  }

  async #read(): Promise<void> {
    const { signal } = this.#stop;
    const [{ questions }, { claims }, { requests }, { emergencies }] = await Promise.all([
      ask<{ questions: Question[] }>("/v1/questions?as=organisation", { signal }),
      ask<{ claims: Claim[] }>("/v1/claims?as=organisation", { signal }),
      ask<{ requests: Request[] }>("/v1/approvals", { signal }),
      ask<{ emergencies: Emergency[] }>("/v1/emergencies?as=organisation", { signal }),
    ]);
    [this.questions, this.claims, this.requests, this.emergencies] = [questions, claims, requests, emergencies];
    this.error = "";
  }

  /** Signs an answer with the organisation's key, and sends it. */
  async answer(question: Question, words: string): Promise<void> {
    this.isBusy = true;
    try {
      const trust = await ask<TrustFile>("/.well-known/medtrail.json");
      const { report, details } = answerOf(question, words, { log: trust.log, actor: this.address, nowMs: Date.now() });
      const signature = await signReport(report, trust);
      // The document goes as the very bytes that were signed for: written by hand into the body, not spelled again.
      const body = `{"report":${JSON.stringify(report)},"details":${details},"signature":"${signature}"}`;
      await ask(`/v1/questions/${question.id}/answer`, { method: "POST", rawBody: body });
      await this.#read();
    } finally {
      this.isBusy = false;
    }
  }
}
