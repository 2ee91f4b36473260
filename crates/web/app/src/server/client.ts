// The server's interfaces under /v1. What it refuses comes as RFC 9457 and is thrown as a `Refused`.

/** The server answered, and said no. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    /** The last part of the problem's `type`, which programs may match on. */
    readonly kind: string,
    message: string,
  ) {
    super(message);
    this.name = "Refused";
  }
}

/** No answer came: whether the server did what it was asked is not known. */
export class Unreachable extends Error {
  constructor(cause: unknown) {
    super("no answer", { cause });
    this.name = "Unreachable";
  }
}

export interface Ask {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly body?: unknown;
  /** In place of `body`: JSON whose very bytes matter, because somebody signed for them. */
  readonly rawBody?: string;
  readonly signal?: AbortSignal;
  /** Finish even if the page is left meanwhile. */
  readonly keepalive?: boolean;
}

export async function ask<T>(path: string, asked: Ask = {}): Promise<T> {
  const text = await askText(path, asked);
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** The answer byte for byte: proofs have one spelling. */
export async function askText(path: string, { method = "GET", body, rawBody, signal, keepalive }: Ask = {}): Promise<string> {
  const sent = rawBody ?? (body === undefined ? undefined : JSON.stringify(body));
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      headers: sent === undefined ? {} : { "content-type": "application/json" },
      ...(sent !== undefined && { body: sent }),
      ...(signal && { signal }),
      ...(keepalive && { keepalive }),
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new Unreachable(cause);
  }
  const text = await response.text();
  if (response.ok) return text;
  throw refusal(response.status, text);
}

function refusal(status: number, text: string): Refused {
  let problem: Record<string, unknown> = {};
  try {
    problem = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // A proxy in between answers with its own page: its text would help nobody.
  }
  const word = (name: string) => (typeof problem[name] === "string" ? problem[name] : "");
  const kind = word("type").replace(/^.*\//, "");
  return new Refused(status, kind, word("detail") || word("title") || `HTTP ${status}`);
}
