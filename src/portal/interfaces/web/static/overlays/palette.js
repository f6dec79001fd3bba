// The command palette: one field over every action and every conversation (Ctrl+K).
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { glance, search, setRailOpen } from "../state.js";
import { conversationPath, navigate } from "../router.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";
import { Modal } from "../dialogs.js";
import { useSheet } from "../sheets.js";
import { Keys } from "../shortcuts.js";
import { commands, matching } from "./commands.js";

/** @typedef {import("./commands.js").Command & {snippet?: string}} Option */

const FEW = 7;

/** @param {{onClose: () => void}} props */
export function Overlay({ onClose }) {
  useSheet("palette");
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const all = useMemo(commands, []);
  const conversations = useConversations(text);
  const actions = matching(all, text).slice(0, text.trim() ? 40 : FEW);
  const options = [...actions, ...conversations];
  const field = useRef(/** @type {HTMLInputElement|null} */ (null));
  useLayoutEffect(() => field.current?.focus(), []);
  const current = Math.min(at, options.length - 1);
  useLayoutEffect(() => document.getElementById(`palette-${current}`)?.scrollIntoView({ block: "nearest" }), [current]);
  /** @param {Option|undefined} option */
  const run = (option) => {
    if (!option) return;
    onClose();
    option.run();
  };
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    const count = Math.max(options.length, 1);
    /** @type {Record<string, number>} */
    const moves = { ArrowDown: (current + 1) % count, ArrowUp: (current - 1 + count) % count, PageDown: Math.min(current + 8, count - 1), PageUp: Math.max(current - 8, 0) };
    const typed = field.current?.value ?? text; // may be newer than what is drawn
    if (event.key === "Enter" && !event.isComposing) run(typed === text ? options[current] : matching(all, typed)[0]);
    else if (event.key in moves) setAt(moves[event.key]);
    else return;
    event.preventDefault();
  };
  return html`<${Modal} label=${t("palette.title")} class="dialog palette" onClose=${onClose}>
    <div class="palette-field"><${Icon} name="search" />
      <input ref=${field} class="grow" type="text" dir="auto" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-autocomplete="list"
        aria-activedescendant=${options.length ? `palette-${current}` : undefined} aria-label=${t("palette.title")}
        placeholder=${t("palette.placeholder")} autocomplete="off" spellcheck="false" value=${text} onKeyDown=${key}
        onInput=${(/** @type {any} */ event) => { setText(event.target.value); setAt(0); }} />
      <button type="button" class="ghost icon-only" aria-label=${t("common.close")} onClick=${onClose}><${Icon} name="close" /></button>
    </div>
    <div id="palette-list" class="palette-list" role="listbox" aria-label=${t("palette.title")} tabindex="-1">
      <${Group} label=${t("palette.actions")} options=${actions} first=${0} current=${current} choose=${setAt} run=${run} />
      <${Group} label=${t("palette.conversations")} options=${conversations} first=${actions.length} current=${current} choose=${setAt} run=${run} />
    </div>
    <p class="palette-foot small muted" role="status">${options.length ? t("palette.hint") : t("palette.none")}</p>
  <//>`;
}

/** @param {{label: string, options: Option[], first: number, current: number, choose: (index: number) => void, run: (option: Option) => void}} props */
function Group({ label, options, first, current, choose, run }) {
  if (!options.length) return null;
  return html`<div role="group" aria-label=${label}>
    <div class="palette-label small muted" aria-hidden="true">${label}</div>
    ${options.map((option, offset) => {
      const index = first + offset;
      return html`<div key=${option.id} id=${`palette-${index}`} class="palette-option" role="option" aria-selected=${index === current ? "true" : "false"}
        onPointerMove=${() => index !== current && choose(index)} onClick=${() => run(option)}>
        <${Icon} name=${option.icon} />
        <span class="grow palette-name"><span class="clip" dir="auto">${option.label}</span>
          ${option.snippet && html`<span class="clip small muted" dir="auto">${option.snippet}</span>`}</span>
        ${option.keys && html`<${Keys} keys=${option.keys} />`}
      </div>`;
    })}
  </div>`;
}

/** Conversations about the text, from the server; the newest ones for no text. @param {string} text @returns {Option[]} */
function useConversations(text) {
  const [found, setFound] = useState(/** @type {Option[]} */ ([]));
  useEffect(() => {
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      const rows = await glance(text.trim(), controller.signal).catch(() => []); // a failed look-up leaves the actions
      if (!controller.signal.aborted) setFound([...rows.slice(0, text.trim() ? 20 : FEW).map(option), ...everything(text.trim())]);
    }, text ? 120 : 0);
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [text]);
  return found;
}

/** @param {import("../types.js").Conversation} entry @returns {Option} */
const option = ({ id, title, snippet }) => ({
  id, icon: "chat", label: title || t("rail.untitled"), snippet, run: () => navigate(conversationPath(id)),
});

/** @param {string} text @returns {Option[]} the way to all results, in the rail */
function everything(text) {
  if (!text) return [];
  const run = () => {
    setRailOpen(true);
    search(text);
  };
  return [{ id: "everything", icon: "search", label: t("palette.searchFor", { text }), run }];
}
