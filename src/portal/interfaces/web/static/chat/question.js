// What the person asked: text and files as sent; editing makes a branch.
import { html } from "htm/preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import * as api from "../api.js";
import { canBranch, editQuestion, editing, knowledgeNews, setEditing } from "../state.js";
import { Icon } from "../icons.js";
import { lazy } from "../lazy.js";
import { t } from "../strings.js";
import { questionFiles, questionText } from "../turns.js";
import { copyText } from "../markdown/code.js";
import { fit } from "./fit.js";

const Sent = lazy(async () => (await import("../files/card.js")).Sent);

/** @typedef {{turn: import("../state/chat.js").TurnSignal}} Props */

/** @param {Props} props */
export function Question({ turn }) {
  const value = turn.value;
  const text = questionText(value);
  const files = questionFiles(value);
  if (editing.value === value.key) return html`<${Edit} turn=${turn} text=${text} />`;
  return html`<div class="question" role="article" aria-label=${t("turn.question")}>
    ${files.length > 0 && html`<div class="question-files">${files.map((file) => html`<${SentFile} file=${file} />`)}</div>`}
    ${text && html`<div class="bubble" dir="auto">${text}</div>`}
    <div class="question-actions">
      <button type="button" class="ghost icon-only quiet" aria-label=${t("turn.copyQuestion")} onClick=${() => copyText(text)}>
        <${Icon} name="copy" />
      </button>
      ${canBranch(value) && html`<button type="button" class="ghost icon-only quiet" aria-label=${t("turn.edit")}
        onClick=${() => setEditing(value.key)}><${Icon} name="edit" /></button>`}
    </div>
  </div>`;
}

/** @param {{file: any}} props  a content part that is not text */
function SentFile({ file }) {
  const address = file.file_id ? api.fileContent(file.file_id) : null;
  if (file.type === "input_image") {
    const source = address ?? (String(file.image_url ?? "").startsWith("data:image/") ? file.image_url : null);
    return source && html`<a href=${address ?? undefined} target="_blank" rel="noopener"><img class="sent-image" src=${source} alt=${t("image.sent")} loading="lazy" /></a>`;
  }
  const name = file.filename ?? t("attach.file");
  const news = knowledgeNews.value;
  const reading = Boolean(news.file_id) && news.file_id === file.file_id && news.status === "in_progress";
  return html`<a class="file-chip" href=${address ?? undefined} target="_blank" rel="noopener" aria-label=${address ? t("attach.open", { name }) : undefined}>
    <${Icon} name="file" /><span class="clip">${name}</span>
    ${reading && html`<span class="small muted" role="status">${t("attach.reading")}</span>`}
  </a>${address && html`<${Sent} file=${{ file_id: file.file_id, filename: name }} />`}`;
}

/** @param {Props & {text: string}} props */
function Edit({ turn, text }) {
  const [draft, setDraft] = useState(text);
  const field = useRef(/** @type {HTMLTextAreaElement|null} */ (null));
  useLayoutEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(text.length, text.length);
  }, []);
  useLayoutEffect(() => fit(field.current), [draft]);
  const leave = () => {
    setEditing(null);
    document.getElementById("composer")?.focus({ preventScroll: true });
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!draft.trim()) return;
    leave();
    editQuestion(turn, draft.trim());
  };
  /** @param {KeyboardEvent} event */
  const keys = (event) => {
    if (event.key === "Escape") leave();
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
    else return;
    event.preventDefault();
  };
  return html`<form class="edit" onSubmit=${submit}>
    <textarea ref=${field} class="input" dir="auto" aria-label=${t("turn.editLabel")} value=${draft} rows="2"
      onInput=${(/** @type {any} */ event) => setDraft(event.target.value)} onKeyDown=${keys}></textarea>
    <div class="row edit-foot">
      <span class="small muted grow">${t("turn.editHint")}</span>
      <button type="button" class="button" onClick=${leave}>${t("common.cancel")}</button>
      <button type="submit" class="button primary" disabled=${!draft.trim()}>${t("turn.editSend")}</button>
    </div>
  </form>`;
}
