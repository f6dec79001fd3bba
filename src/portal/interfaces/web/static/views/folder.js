// A folder: what its conversations share, and the conversations.
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api.js";
import { changeFolder, conversations, deleteFolder, findFolder, folders, rowHeight } from "../state.js";
import { useLoad } from "../load.js";
import { locale, t } from "../strings.js";
import { Bar } from "../layout.js";
import { Confirm } from "../dialogs.js";
import { Icon } from "../icons.js";
import { groupByDay } from "../rail/groups.js";
import { List } from "../rail/list.js";
import { FolderSetup } from "./foldersetup.js";

/** @param {{route: import("../types.js").Route}} props */
export function View({ route }) {
  const folder = findFolder(route.id);
  const { failed } = useLoad(() => api.folder(route.id ?? ""), [route.id]);
  if (!folder && failed?.status !== 404) return html`<${Bar} title="" />`;
  if (!folder) return html`<${Bar} title=${t("rail.folders")} /><div class="page"><div class="page-inner"><div class="notice">
    <${Icon} name="info" /><p class="grow">${t("folder.missing")}</p><a class="button" href="/">${t("rail.new")}</a></div></div></div>`;
  return html`<${Folder} key=${folder.id} folder=${folder} />`;
}

/** @param {{folder: import("../types.js").Folder}} props */
function Folder({ folder }) {
  const scroller = useRef(/** @type {HTMLDivElement|null} */ (null));
  const [deleting, setDeleting] = useState(false);
  return html`<${Bar} title=${folder.name}>
      <a class="button primary" href=${`/?folder=${encodeURIComponent(folder.id)}`}><${Icon} name="plus" />${t("folder.newChat")}</a>
    <//>
    <div class="page" ref=${scroller}><div class="page-inner">
      <${Setup} folder=${folder}><${Name} folder=${folder} /><${FolderSetup} folder=${folder} />
        <div class="row"><button type="button" class="button danger" onClick=${() => setDeleting(true)}><${Icon} name="trash" />${t("folder.delete")}</button></div><//>
      <section class="column folder-list" aria-labelledby="folder-conversations"><h2 id="folder-conversations">${t("folder.conversations")}</h2>
        <${Inside} id=${folder.id} scroller=${scroller} /></section>
    </div></div>
    ${deleting && html`<${Confirm} title=${t("folder.delete")} text=${t("folder.deleteText")} action=${t("folder.delete")} danger=${true}
      onYes=${() => deleteFolder(folder.id)} onClose=${() => setDeleting(false)} />`}`;
}

/** Folded away once a folder has been set up: its conversations matter more. @param {{folder: import("../types.js").Folder, children?: any}} props */
function Setup({ folder, children }) {
  const [open] = useState(!folder.instructions && !folder.file_ids.length && !folder.model);
  return html`<details class="setup" open=${open}><summary><${Icon} name="settings" /><span class="grow">${t("folder.setup")}</span><${Icon} name="chevron" /></summary>
    <div>${children}</div></details>`;
}

/** @param {{folder: import("../types.js").Folder}} props */
function Name({ folder }) {
  const [name, setName] = useState(folder.name);
  useEffect(() => setName(folder.name), [folder.name]);
  const save = () => {
    const wanted = name.trim();
    if (wanted && wanted !== folder.name) changeFolder(folder, { name: wanted });
    else setName(folder.name);
  };
  return html`<div class="field"><label for="folder-title">${t("folder.name")}</label>
    <input id="folder-title" class="input" dir="auto" maxlength="200" value=${name} onInput=${(/** @type {any} */ event) => setName(event.target.value)} onBlur=${save}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Enter" && save()} /></div>`;
}

/** @param {{id: string, scroller: {current: HTMLElement|null}}} props */
function Inside({ id, scroller }) {
  const { entries, next, more } = usePages(id);
  if (!entries) return html`<p class="muted">${t("common.loading")}</p>`;
  if (!entries.length) return html`<p class="muted">${t("folder.empty")}</p>`;
  void rowHeight.value;
  const groups = groupByDay(entries, { now: new Date(), locale: locale(), words: { pinned: t("rail.pinned") } });
  return html`<${List} entries=${entries} groups=${groups} more=${next !== null} onEnd=${more} scroller=${scroller} label=${t("folder.conversations")} />`;
}

/** The folder's conversations page by page; all on show are asked again when something about conversations changed. @param {string} id */
function usePages(id) {
  const [state, setState] = useState(/** @type {{entries: import("../types.js").Conversation[]|null, next: string|null}} */ ({ entries: null, next: null }));
  const asking = useRef({ now: false, again: false, shown: 0 });
  /** @param {string|null} cursor @param {import("../types.js").Conversation[]} [before] @param {number} [wanted]  at least so many, page after page */
  const ask = async (cursor, before = [], wanted = 1) => {
    const { current } = asking;
    if (current.now) return void (current.again ||= !cursor);
    Object.assign(current, { now: true, again: false });
    try {
      const entries = before.slice();
      let next = cursor;
      do {
        const page = await api.conversations({ folder: id, limit: 100, cursor: next });
        entries.push(...page.data);
        next = page.next;
      } while (next && entries.length < wanted);
      current.shown = entries.length;
      setState({ entries, next });
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error; // shown again at the next change
    } finally {
      current.now = false;
    }
    if (current.again) await ask(null, [], current.shown);
  };
  useEffect(() => void ask(null, [], asking.current.shown), [id, conversations.value, folders.value]);
  return { ...state, more: () => void ask(state.next, state.entries ?? []) };
}
