import type { AnchorNews, Line } from "../ledger";
import type { Locking } from "./line";

export interface FeedEvents {
  line(line: Line): void;
  anchor(news: AnchorNews): void;
  /** Too much was missed for the stream to give again: the trail must be read anew. */
  reset(): void;
  /** The stream stands: for the first time, or again. What came meanwhile may have to be fetched. */
  opened(): void;
  /** The browser tries again by itself. */
  waiting(): void;
  /** The server said no, and the browser does not try again: the session ended, or the server is another one. */
  closed(): void;
}

/** Opens the live feed; what is returned closes it. `after` is the newest index that is known. */
export function openFeed(subject: string, after: number | null, events: FeedEvents): () => void {
  const query = after === null ? "" : `?after=${after}`;
  const source = new EventSource(`/v1/subjects/${subject}/feed${query}`);
  source.onopen = () => events.opened();
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) events.closed();
    else events.waiting();
  };
  source.addEventListener("line", ({ data }: MessageEvent<string>) => events.line(JSON.parse(data) as Line));
  source.addEventListener("reset", () => events.reset());
  source.addEventListener("anchor", ({ data }: MessageEvent<string>) => events.anchor(JSON.parse(data) as AnchorNews));
  return () => source.close();
}

/** How far a line is after news of the chain: lines below `size` stand in what was written there. */
export function afterNews(index: number, before: Locking, news: AnchorNews): Locking {
  if (index >= news.size || before.state === "final") return before;
  if (before.state === "mined" && news.state === "mined") return before;
  const { number, size, tx, block, timeS } = news;
  // A line that had its place on the chain keeps it: it was an earlier, smaller one.
  return { state: news.state, anchor: before.anchor ?? { number, size, tx, block, timeS } };
}
