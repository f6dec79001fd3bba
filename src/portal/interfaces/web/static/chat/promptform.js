// What a prompt of a tool server wants to know before it is written out.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/library.js";
import { t } from "../strings.js";
import { Modal } from "../dialogs.js";
import { useRefusal } from "../settings/refusal.js";

/** @param {{server: string, prompt: api.Held, put: (text: string) => void, onClose: () => void}} props */
export function PromptForm({ server, prompt, put, onClose }) {
  const [said, setSaid] = useState(/** @type {Record<string, string>} */ ({}));
  const { busy, error, attempt } = useRefusal();
  const title = prompt.title || prompt.name;
  const fill = attempt(async () => {
    const text = await written(server, prompt.name, said);
    onClose();
    put(text);
  });
  return html`<${Modal} label=${title} onClose=${onClose}><form class="dialog-body" onSubmit=${fill}><h2 dir="auto">${title}</h2>
    ${prompt.description && html`<p class="muted" dir="auto">${prompt.description}</p>`}
    ${prompt.arguments?.map(({ name, description, required }) => html`<div key=${name} class="field"><label for=${`prompt-${name}`} dir="auto">${name}</label>
      <input id=${`prompt-${name}`} class="input" dir="auto" autocomplete="off" required=${required} value=${said[name] ?? ""} aria-describedby=${description ? `about-${name}` : undefined}
        onInput=${(/** @type {any} */ event) => setSaid({ ...said, [name]: event.target.value })} />
      ${description && html`<p id=${`about-${name}`} class="small muted" dir="auto">${description}</p>`}</div>`)}
    <p class="bad" role="alert" dir="auto">${error}</p>
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button>
      <button class="button primary" disabled=${busy}>${t("mention.fill")}</button></div></form><//>`;
}

/** A prompt's text, filled in with what is not empty. @param {string} server @param {string} name @param {Record<string, string>} said */
export async function written(server, name, said) {
  const filled = Object.fromEntries(Object.entries(said).filter(([, text]) => text));
  const { messages } = await api.prompt(server, name, filled);
  return messages.map((one) => one.content?.text ?? "").filter(Boolean).join("\n\n");
}
