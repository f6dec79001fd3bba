// One memory: what it says, where it is from, and correcting, looking back or forgetting in place.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as library from "../api/memory.js";
import { changeMemory, forgetMemory, openSource } from "../state/memory.js";
import { day, moment } from "../format.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { Menu } from "../menu.js";
import { t } from "../strings.js";

/** @typedef {import("../types.js").Memory} Memory */

/** @type {Record<Memory["kind"], "memory.fact"|"memory.preference"|"memory.episode">} */
const KINDS = { fact: "memory.fact", preference: "memory.preference", episode: "memory.episode" };

/**
 * @param {{
 *   one: Memory, chosen?: boolean, onChoose?: (id: string, on: boolean) => void, onChanged: () => unknown,
 * }} props  with `onChoose` it can be chosen with others
 */
export function MemoryRow({ one, chosen = false, onChoose, onChanged }) {
  const [open, setOpen] = useState(/** @type {"edit"|"history"|null} */ (null));
  const forget = async () => {
    if (await forgetMemory(one)) await onChanged();
  };
  const entry = (/** @type {() => void} */ close, /** @type {string} */ icon, /** @type {string} */ words, /** @type {() => unknown} */ run, danger = false) =>
    html`<button type="button" role="menuitem" tabindex="-1" class=${danger ? "danger" : ""} onClick=${() => { close(); run(); }}><${Icon} name=${icon} />${words}</button>`;
  return html`<li class="memory">
    <div class="memory-line">
      ${onChoose && html`<label class="memory-check"><input type="checkbox" class="check" checked=${chosen} aria-label=${t("memory.choose", { text: one.text })} onChange=${(/** @type {any} */ event) => onChoose(one.id, event.target.checked)} /></label>`}
      <div class="grow past">${open === "edit" ? html`<${Edit} one=${one} onChanged=${onChanged} onClose=${() => setOpen(null)} />` : html`<p dir="auto">${one.text}</p>`}
        <p class="small muted memory-about">${about(one).join(" · ")}</p></div>
      <button type="button" class="ghost icon-only quiet" aria-label=${t("memory.edit", { text: one.text })} onClick=${() => setOpen(open === "edit" ? null : "edit")}><${Icon} name="edit" /></button>
      <${Menu} class="ghost icon-only quiet" label=${t("memory.menu", { text: one.text })} button=${html`<${Icon} name="more" />`} align="end">${(/** @type {() => void} */ close) => html`
        ${entry(close, "again", t("memory.history"), () => setOpen(open === "history" ? null : "history"))}
        ${one.source && entry(close, "chat", t("memory.source"), () => openSource(one.source))}
        ${entry(close, "trash", t("memory.forget"), forget, true)}`}<//>
    </div>
    ${open === "history" && html`<${History} one=${one} onClose=${() => setOpen(null)} />`}
  </li>`;
}

/** Its kind, where it holds, when it was, how sure it is. @param {Memory} one */
function about({ kind, scope, happened_at, created_at, confidence }) {
  const [place, name] = scope.split(/:(.*)/s);
  const where = place === "workspace" ? t("memory.inWorkspace", { name }) : place === "conversation" ? t("memory.inConversation") : "";
  const when = happened_at === null ? moment(created_at) : day(happened_at);
  return [t(KINDS[kind]), where, when, confidence < 0.7 ? t("memory.unsure") : ""].filter(Boolean);
}

/** @param {{one: Memory, onChanged: () => unknown, onClose: () => void}} props */
function Edit({ one, onChanged, onClose }) {
  const [text, setText] = useState(one.text);
  const [kind, setKind] = useState(one.kind);
  /** @param {Event} event */
  const save = async (event) => {
    event.preventDefault();
    const changes = { ...(text.trim() === one.text ? {} : { text: text.trim() }), ...(kind === one.kind ? {} : { kind }) };
    if (Object.keys(changes).length && !(await changeMemory(one, changes))) return;
    onClose();
    if (Object.keys(changes).length) await onChanged();
  };
  /** @param {KeyboardEvent} event */
  const keys = (event) => {
    if (event.key === "Escape") onClose();
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) save(event);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<form class="column memory-edit" onSubmit=${save}>
    <textarea class="input" dir="auto" rows="2" maxlength="2000" aria-label=${t("memory.text")} autofocus value=${text} onKeyDown=${keys} onInput=${(/** @type {any} */ event) => setText(event.target.value)}></textarea>
    <div class="row wrap"><select class="input" aria-label=${t("memory.kind")} value=${kind} onChange=${(/** @type {any} */ event) => setKind(event.target.value)}>
      ${Object.entries(KINDS).map(([value, label]) => html`<option key=${value} value=${value}>${t(label)}</option>`)}</select>
      <span class="grow"></span><button type="button" class="ghost" onClick=${onClose}>${t("common.cancel")}</button><button class="button primary" disabled=${!text.trim()}>${t("common.save")}</button></div>
  </form>`;
}

/** Its earlier wordings. @param {{one: Memory, onClose: () => void}} props */
function History({ one, onClose }) {
  const { data, failed } = useLoad(() => library.memory(one.id), [one.id, one.changed_at]);
  return html`<div class="memory-history" role="group" aria-label=${t("memory.history")}>
    ${failed && html`<p class="bad small">${t("settings.loadFailed")}</p>`}
    ${data && !data.history.length && html`<p class="small muted">${t("memory.noHistory")}</p>`}
    ${data && data.history.length > 0 && html`<ol class="plain">${data.history.map((old) => html`<li key=${old.id}><span dir="auto">${old.text}</span> <span class="small muted">${t("memory.until", { time: moment(old.changed_at) })}</span></li>`)}</ol>`}
    <button type="button" class="ghost small" onClick=${onClose}>${t("common.close")}</button>
  </div>`;
}
