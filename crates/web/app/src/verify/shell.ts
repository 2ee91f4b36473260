/** A file name or address as one word of a shell, whatever stands in it, and never as an option. */
export function quoted(word: string): string {
  const path = word.startsWith("-") ? `./${word}` : word;
  return /^[\w./:@%+,=-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
