// Drawn in a shadow root with a style sheet made by script: the page's policy allows no style in the markup, and the
// page's own styles must not make the wallet look like a part of it.

export interface Question {
  readonly title: string;
  readonly from?: string;
  readonly text?: string;
  readonly lines: readonly (readonly [string, string])[];
  /** What may be chosen; without choices it is only yes or no. */
  readonly choices: readonly { readonly value: string; readonly label: string }[];
}

const STYLE = `
  dialog { border: 6px solid #c1123f; border-radius: 12px; padding: 0; width: min(28rem, calc(100vw - 2rem));
    max-height: calc(100dvh - 2rem); font: 16px/1.45 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
  dialog::backdrop { background: rgb(0 0 0 / 0.45); }
  header { background: #c1123f; color: #fff; padding: 0.5rem 1rem; font-weight: 600; }
  div { padding: 0.75rem 1rem 1rem; }
  h2 { font-size: 1.2rem; margin: 0 0 0.5rem; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f4f1f1; padding: 0.6rem; border-radius: 6px; margin: 0 0 0.75rem;
    font: 14px/1.4 ui-monospace, monospace; }
  dl { margin: 0 0 0.75rem; } dt { font-size: 0.85rem; color: #5a4a4f; } dd { margin: 0 0 0.4rem; overflow-wrap: anywhere; }
  fieldset { border: 1px solid #8a7a7f; border-radius: 6px; margin: 0 0 0.75rem; max-height: 14rem; overflow: auto; }
  label { display: flex; gap: 0.5rem; align-items: center; min-height: 2rem; }
  footer { display: flex; gap: 0.75rem; flex-wrap: wrap; }
  button { font: inherit; min-height: 2.75rem; padding: 0 1.1rem; border-radius: 8px; border: 2px solid #c1123f; cursor: pointer; }
  button.no { background: #fff; color: #8f0e2f; } button.yes { background: #c1123f; color: #fff; }
  :focus-visible { outline: 3px solid #1a5fb4; outline-offset: 2px; }
`;

function element<K extends keyof HTMLElementTagNameMap>(name: K, text = "", into?: Node): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  made.textContent = text;
  into?.appendChild(made);
  return made;
}

/** Asks, and answers with what was chosen ("" where there was nothing to choose), or null for no. */
export function drawPrompt(question: Question): Promise<string | null> {
  const host = element("aside", "", document.body);
  host.dataset["wallet"] = "demo";
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];

  const dialog = element("dialog", "", root);
  dialog.setAttribute("aria-labelledby", "title");
  element("header", "Demo wallet: test money, known keys", dialog);
  const body = element("div", "", dialog);
  element("h2", question.title, body).id = "title";
  if (question.from) element("p", `As ${question.from}`, body);
  if (question.text) {
    const text = element("pre", question.text, body);
    // It may scroll on a narrow screen, and then it must be reached by the keyboard.
    text.tabIndex = 0;
  }
  if (question.lines.length > 0) {
    const facts = element("dl", "", body);
    for (const [name, value] of question.lines) {
      element("dt", name, facts);
      element("dd", value, facts);
    }
  }
  const inputs = question.choices.length > 0 ? element("fieldset", "", body) : null;
  if (inputs) element("legend", "Account", inputs);
  for (const [index, { value, label }] of question.choices.entries()) {
    const line = element("label", "", inputs as HTMLElement);
    const input = element("input", "", line);
    input.type = "radio";
    input.name = "choice";
    input.value = value;
    input.checked = index === 0;
    element("span", label, line);
  }
  const foot = element("footer", "", body);
  const no = element("button", "Reject", foot);
  no.className = "no";
  const yes = element("button", question.choices.length > 0 ? "Connect" : "Approve", foot);
  yes.className = "yes";

  return new Promise((answer) => {
    const close = (value: string | null) => {
      dialog.close();
      host.remove();
      answer(value);
    };
    no.addEventListener("click", () => close(null));
    yes.addEventListener("click", () => close(inputs?.querySelector<HTMLInputElement>("input:checked")?.value ?? ""));
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      close(null);
    });
    dialog.showModal();
  });
}
