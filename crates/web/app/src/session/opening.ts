import { explain } from "./explain";
import { session } from "./session.svelte";

/** A place of the page that reads something when it is opened. */
interface Place<P extends string> {
  phase: P | "loading" | "failed";
  error: string;
}

/**
 * Opens a place: `learn` reads what it needs and tells how it stands then. A failure is told in `words`, unless the place was
 * closed meanwhile; it may be that there is no session any more, and then the page asks for one.
 */
export async function opening<P extends string>(
  place: Place<P>, signal: AbortSignal, learn: () => Promise<P>, words: (error: unknown) => string = explain,
): Promise<void> {
  place.phase = "loading";
  place.error = "";
  try {
    place.phase = await learn();
  } catch (error) {
    if (signal.aborted) return;
    place.phase = "failed";
    place.error = words(error);
    void session.probe();
  }
}
