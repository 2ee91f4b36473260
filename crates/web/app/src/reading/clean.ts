// Foreign text made fit for a line.

const HIDDEN =
  /[*\u{ad}\u{61c}\u{180e}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}-\u{206f}\u{feff}\u{fff9}-\u{fffb}\u{e0000}-\u{e007f}]/gu;
const GAP = /[\p{White_Space}\p{Cc}]/u;

/**
 * White space and control characters become one blank; what turns or hides text (bidi controls, zero width, soft hyphen,
 * tags) and the asterisk are dropped; after `lettersMax` letters it is cut with an ellipsis.
 */
export function clean(text: string, lettersMax: number): string {
  let cleaned = "";
  let letters = 0;
  let isGap = false;
  for (const letter of text.replace(HIDDEN, "")) {
    if (GAP.test(letter)) {
      isGap = letters > 0;
      continue;
    }
    const width = isGap ? 2 : 1;
    if (letters + width > lettersMax) return `${cleaned}…`;
    cleaned += isGap ? ` ${letter}` : letter;
    letters += width;
    isGap = false;
  }
  return cleaned;
}

/** Cleaned and cut; null if nothing is left. */
export function fit(text: string | null, lettersMax: number): string | null {
  return (text !== null && clean(text, lettersMax)) || null;
}
