// Where a question is written: grows with its text, keeps drafts, takes files, and says which model will answer.
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ask, attach, attachments, chat, chooseModel, endings, findModel, nextCollections, nextModel, running, setEditing, stop, takeAttachments, turns } from "../state.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";
import { questionText } from "../turns.js";
import { AttachmentStrip } from "./attachments.js";
import { dropDraft, keepDraft, readDraft } from "./draft.js";
import { fit } from "./fit.js";
import { lazy } from "../lazy.js";
import { mentionAt, replaced } from "./mention.js";
import { ModelPicker } from "./picker.js";

const Mentions = lazy(async () => (await import("./mentions.js")).Mentions);
const Talk = lazy(async () => (await import("../voice/talk.js")).Talk);
const CollectionPicker = lazy(async () => (await import("./collections.js")).CollectionPicker);

export function Composer() {
  const { id, temporary } = chat.value;
  const ended = endings.value;
  const [text, setText] = useState(() => readDraft(id));
  const [talking, setTalking] = useState(false);
  const [mention, setMention] = useState(/** @type {string|null} */ (null));
  const field = useRef(/** @type {HTMLTextAreaElement|null} */ (null));
  const place = useRef({ id, ended });
  useLayoutEffect(() => {
    const left = place.current;
    place.current = { id, ended };
    if (left.id !== id || left.ended !== ended) setText(draftBeside(id));
    else if (temporary) dropDraft(id);
    else keepDraft(id, text);
    if (left.ended === ended) return;
    setTalking(false);
    setMention(null);
  }, [id, ended, temporary]);
  useLayoutEffect(() => fit(field.current), [text]);
  const placed = useRef(/** @type {number|null} */ (null));
  useLayoutEffect(() => {
    if (placed.current === null) return;
    field.current?.focus();
    field.current?.setSelectionRange(placed.current, placed.current);
    placed.current = null;
  });
  useEffect(() => focusWhereWelcome(field.current), [id]);

  const steer = useRef(/** @type {((event: KeyboardEvent) => boolean)|null} */ (null));
  const caret = () => field.current?.selectionStart ?? text.length;
  const write = (/** @type {string} */ next, at = caret()) => {
    setText(next);
    setMention(mentionAt(next, at));
    if (!chat.value.temporary) keepDraft(id, next);
  };
  const uploading = attachments.value.some((file) => !file.id && !file.data && !file.error);
  const blocked = uploading || attachments.value.some((file) => file.error);
  const ready = chat.value.status !== "loading" && !running.value && !blocked && (text.trim() !== "" || attachments.value.length > 0);
  const send = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!ready) return;
    if (chat.value.temporary) dropDraft(id); // else kept until the server has it
    setText("");
    setMention(null);
    ask(text.trim(), takeAttachments());
    field.current?.focus();
  };
  /** @param {KeyboardEvent} event */
  const keys = (event) => {
    if (mention && !event.isComposing && steer.current?.(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) send(event);
    else if (event.key === "ArrowUp" && !text && !running.value) editLast(event);
  };
  /** What was chosen takes the place of the mention, which may have grown while it was fetched. @param {string} chosen */
  const put = (chosen) => {
    const now = field.current?.value ?? text;
    const made = replaced(now, caret(), mentionAt(now, caret()) ?? "", chosen);
    placed.current = made.caret;
    write(made.text, made.caret);
  };
  /** @param {ClipboardEvent} event */
  const pasted = (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    attach(files);
  };
  return html`<form class="composer" onSubmit=${send}>
    ${mention && html`<${Mentions} mention=${mention} steer=${steer} put=${put} leave=${() => setMention(null)} />`}
    <div class="composer-box">
      <${AttachmentStrip} model=${findModel(nextModel())} />
      <textarea ref=${field} id="composer" rows="1" dir="auto" aria-label=${t("composer.label")} aria-describedby="composer-hint"
        placeholder=${t(turns.value.length ? "composer.placeholderNext" : "composer.placeholder")} value=${text}
        onInput=${(/** @type {any} */ event) => write(event.target.value)} onKeyDown=${keys} onPaste=${pasted}></textarea>
      ${talking && html`<${Talk} put=${(/** @type {string} */ words) => write([field.current?.value.trimEnd(), words].filter(Boolean).join(" "))} leave=${() => setTalking(false)} />`}
      <div class="composer-foot">
        <${AttachButton} />
        <button type="button" class="ghost icon-only" aria-label=${t("composer.talk")} title=${t("composer.talk")} aria-pressed=${talking ? "true" : "false"} onClick=${() => setTalking(!talking)}><${Icon} name="mic" /></button>
        <${ModelPicker} class="ghost model-button" label=${t("model.choose")} value=${nextModel()} onPick=${chooseModel} onDone=${() => field.current?.focus()} />
        <${DocumentsButton} />
        <span class="grow"></span>
        ${uploading && html`<span class="small muted clip" role="status">${t("composer.uploading")}</span>`}
        ${running.value
          ? html`<button type="button" class="button primary icon-only round" aria-label=${t("composer.stop")} onClick=${stop}><${Icon} name="stop" /></button>`
          : html`<button type="submit" class="button primary icon-only round" aria-label=${t("composer.send")} disabled=${!ready}><${Icon} name="send" /></button>`}
      </div>
    </div>
    <p class="sr-only" id="composer-hint">${t("composer.hint")}</p>
  </form>`;
}

/** The draft, unless it is the question that is just being sent. @param {string|null} id */
function draftBeside(id) {
  const draft = readDraft(id);
  const last = turns.value.at(-1)?.peek();
  return last && last.id === null && questionText(last) === draft.trim() ? "" : draft;
}

/** The field has the focus where that brings up no keyboard and takes it from nothing. @param {HTMLElement|null} field */
function focusWhereWelcome(field) {
  const free = !document.activeElement || document.activeElement === document.body || document.activeElement.closest(".rail");
  if (free && matchMedia("(pointer: fine)").matches && !document.querySelector("dialog[open]")) field?.focus({ preventScroll: true });
}

/** @param {KeyboardEvent} event */
function editLast(event) {
  const last = turns.value.at(-1);
  if (!last) return;
  event.preventDefault();
  setEditing(last.value.key);
}

/** Which collections of documents the next question is asked of. */
function DocumentsButton() {
  const anchor = useRef(/** @type {HTMLButtonElement|null} */ (null));
  const [open, setOpen] = useState(false);
  const n = nextCollections().length;
  const label = t("composer.documents", { n });
  const close = () => {
    setOpen(false);
    anchor.current?.focus();
  };
  return html`<button ref=${anchor} type="button" class=${n ? "ghost documents-button" : "ghost icon-only quiet"} aria-haspopup="dialog" aria-expanded=${open ? "true" : "false"} aria-pressed=${n ? "true" : undefined}
      aria-label=${label} title=${label} onClick=${() => setOpen(!open)}><${Icon} name="library" />${n > 0 && html`<span>${n}</span>`}</button>
    ${open && html`<${CollectionPicker} anchor=${anchor} close=${close} leave=${() => setOpen(false)} />`}`;
}

function AttachButton() {
  const input = useRef(/** @type {HTMLInputElement|null} */ (null));
  const chosen = () => {
    if (!input.current) return;
    attach([...(input.current.files ?? [])]);
    input.current.value = "";
  };
  return html`<button type="button" class="ghost icon-only" aria-label=${t("composer.attach")} onClick=${() => input.current?.click()}>
      <${Icon} name="attach" />
    </button>
    <input ref=${input} type="file" multiple hidden aria-label=${t("composer.attach")} onChange=${chosen} />`;
}
