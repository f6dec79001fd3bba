// The conversation: its bar, its turns, and the composer under them.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { attach, chat, newChat, noModels, openChat, reopenChat, running, setTemporary, stop, turns } from "../state.js";
import { Bar } from "../layout.js";
import { FirstRun } from "../views/firstrun.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";
import { Composer } from "./composer.js";
import { Empty } from "./empty.js";
import { lazy } from "../lazy.js";

const loadTurns = () => import("./turns.js");
const Turns = lazy(async () => (await loadTurns()).Turns);

/** @param {{id: string|null, folder?: string|null, model?: string|null}} props */
export function Chat({ id, folder = null, model = null }) {
  useEffect(() => void (id ? openChat(id) : newChat({ folder, model })), [id, folder, model]);
  useEffect(listenForEscape, []);
  const { status, title, temporary } = chat.value;
  const empty = !turns.value.length && (status === "new" || status === "ready");
  useEffect(() => void (document.title = title ? `${title} · ${t("app.name")}` : t("app.name")), [title]);
  return html`
    <${Bar} title=${title || (temporary ? t("chat.temporarySwitch") : "")}>
      ${empty && !id && html`<${TemporarySwitch} />`}
    <//>
    <${DropZone} onInput=${loadTurns}>
      ${status === "missing" && html`<${Problem} text=${t("chat.missing")} />`}
      ${status === "broken" && html`<${Problem} text=${t("chat.broken")} retry=${reopenChat} />`}
      ${empty ? html`<div class="welcome">${noModels.value ? html`<${FirstRun} />` : html`<${Empty} />`}</div>` : status !== "missing" && status !== "broken" && html`<${Turns} />`}
      ${status !== "missing" && status !== "broken" && html`<${Composer} />`}
    <//>`;
}

function TemporarySwitch() {
  const { temporary } = chat.value;
  return html`<button type="button" class="ghost" aria-pressed=${temporary ? "true" : "false"}
    aria-label=${t("chat.temporarySwitch")} onClick=${() => setTemporary(!temporary)}>
    <${Icon} name="ghost" /><span>${t("chat.temporary")}</span>
  </button>`;
}

/** @param {{text: string, retry?: () => void}} props */
function Problem({ text, retry }) {
  return html`<div class="page"><div class="page-inner"><div class="notice" role="alert">
    <${Icon} name="info" /><span class="grow">${text}</span>
    ${retry ? html`<button type="button" class="button" onClick=${retry}>${t("common.retry")}</button>` : html`<a class="button" href="/">${t("app.home")}</a>`}
  </div></div></div>`;
}

/** Files dropped anywhere on the conversation are attached. @param {{onInput: () => unknown, children?: any}} props */
function DropZone({ onInput, children }) {
  const [over, setOver] = useState(0);
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  const on = (/** @type {number} */ change) => (/** @type {DragEvent} */ event) => {
    if (hasFiles(event)) setOver((depth) => Math.max(0, depth + change));
  };
  return html`<div class="conversation" onInput=${onInput} onDragEnter=${on(1)} onDragLeave=${on(-1)}
    onDragOver=${(/** @type {DragEvent} */ event) => hasFiles(event) && event.preventDefault()}
    onDrop=${(/** @type {DragEvent} */ event) => {
      setOver(0);
      if (!hasFiles(event)) return;
      event.preventDefault();
      attach(event.dataTransfer?.files ?? []);
    }}>
    ${children}
    ${over > 0 && html`<div class="drop"><${Icon} name="attach" /> ${t("composer.drop")}</div>`}
  </div>`;
}

/** Esc stops the answer, unless something open takes it first. */
function listenForEscape() {
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || !running.value) return;
    if (document.querySelector("dialog[open], [role=menu], [role=listbox]")) return;
    event.preventDefault();
    stop();
  };
  addEventListener("keydown", pressed);
  return () => removeEventListener("keydown", pressed);
}
