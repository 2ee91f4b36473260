/** Hands the person a file. */
export function save(name: string, text: string): void {
  saveBytes(name, text, "application/json");
}

export function saveBytes(name: string, content: BlobPart, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has begun to read it by then; revoking at once lost the file in some.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
