// A workspace to change: its fields, saving, and what can be done with it.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { ApiError } from "../api.js";
import { compact, fieldsOf, findWorkspace, me, personas, removeWorkspace, saveWorkspace } from "../state.js";
import { navigate } from "../router.js";
import { t } from "../strings.js";
import { Bar } from "../layout.js";
import { Icon } from "../icons.js";
import { Menu } from "../menu.js";
import { Allowed } from "./allowed.js";
import { Behaviour, Limits, Names, Who } from "./fields.js";
import { Recalls } from "./recalls.js";
import { Preferred } from "./preferred.js";
import { TryOut } from "./trial.js";
import { wrong } from "./wrong.js";

/** @typedef {import("../types.js").Workspace} Workspace @typedef {import("../types.js").WorkspaceFields} Fields */

const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;
/** @type {Omit<Fields, "users">} */
const EMPTY = {
  title: "", description: "", task: "", persona: "", instructions: "", prefer: [], strategy: "auto", parameters: {}, tools: ["*"],
  knowledge: true, collections: [], memory: true, max_output_tokens: null, max_rounds: null, max_seconds: null, max_tokens: null,
};

/** @param {string} title */
const slug = (title) => title.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 60);

/** @param {{from: string|null, persona: string|null}} props  a workspace to copy, or a persona to begin with */
export function NewWorkspace({ from, persona }) {
  const copied = findWorkspace(from);
  const role = personas.value.find((each) => each.name === persona);
  if (persona && !role && !personas.value.length) return html`<${Bar} title=${t("workspaces.new")} />`; // still loading
  const users = [me.value?.user?.id].filter(Boolean);
  const fields = copied
    ? { ...fieldsOf(copied), title: t("workspaces.copyOf", { title: copied.title || copied.name }), users }
    : { ...EMPTY, users, ...(role ? { persona: role.name, title: role.title, description: role.description, task: role.task ?? "" } : {}) };
  return html`<${Editor} workspace=${null} initial=${fields} />`;
}

/** @param {{workspace: Workspace}} props */
export const WorkspaceForm = ({ workspace }) => html`<${Editor} workspace=${workspace} initial=${fieldsOf(workspace)} />`;

/** @param {{workspace: Workspace|null, initial: Fields}} props */
function Editor({ workspace, initial }) {
  const [saved, setSaved] = useState(initial);
  const [fields, setFields] = useState(initial);
  const [named, setNamed] = useState(workspace?.name ?? null);
  const [state, setState] = useState({ busy: false, error: "" });
  const name = workspace?.name ?? named ?? slug(fields.title);
  const dirty = !workspace || JSON.stringify(fields) !== JSON.stringify(saved);
  /** @param {Partial<Fields>} changes */
  const change = (changes) => setFields((old) => ({ ...old, ...changes }));
  /** @param {Event} event */
  const save = async (event) => {
    event.preventDefault();
    const refused = workspace ? "" : refusal(name);
    if (refused) return setState({ busy: false, error: refused });
    setState({ busy: true, error: "" });
    try {
      await saveWorkspace(name, fields);
      setSaved(fields);
      setState({ busy: false, error: "" });
      if (!workspace) navigate(`/workspaces/${encodeURIComponent(name)}`, { replace: true });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setState({ busy: false, error: wrong(error) });
    }
  };
  return html`<${Bar} title=${workspace ? workspace.title || workspace.name : t("workspaces.new")}>${workspace && html`<${Actions} one=${workspace} />`}<//>
    <div class="page"><div class="page-inner is-wide workspace-page">
      <form class="workspace-form" onSubmit=${save}>
        ${workspace && html`<${About} one=${workspace} />`}
        <${Names} fields=${fields} change=${change} name=${name} setName=${workspace ? null : setNamed} />
        <${Behaviour} fields=${fields} change=${change} />
        <${Preferred} prefer=${fields.prefer} onChange=${(/** @type {string[]} */ prefer) => change({ prefer })} />
        <${Allowed} fields=${fields} change=${change} />
        <${Recalls} fields=${fields} change=${change} />
        <${Limits} fields=${fields} change=${change} />
        <${Who} users=${fields.users} onChange=${(/** @type {string[]} */ users) => change({ users })} />
        <div class="workspace-save">
          <p class="bad" role="alert" dir="auto">${state.error}</p>
          <div class="row"><button class="button primary" disabled=${state.busy || !dirty || !name}>
            ${state.busy ? t("workspaces.saving") : workspace ? t("workspaces.save") : t("workspaces.create")}</button>
          ${workspace && dirty && html`<button type="button" class="ghost" onClick=${() => setFields(saved)}>${t("workspaces.revert")}</button>`}</div>
        </div>
      </form>
      <${TryOut} name=${name || "new"} fields=${fields} />
    </div></div>`;
}

/** Why a new workspace cannot have this name; empty if it can. @param {string} name */
function refusal(name) {
  if (!NAME.test(name)) return t("workspaces.nameWrong");
  return findWorkspace(name)?.mine ? t("workspaces.nameTaken") : "";
}

/** @param {{one: Workspace}} props */
function Actions({ one }) {
  const entry = "menuitem";
  return html`${one.now.model && html`<a class=${compact.value ? "button icon-only" : "button"} aria-label=${t("workspaces.chatWith", { name: one.title || one.name })}
      href=${`/?model=${encodeURIComponent(one.name)}`}><${Icon} name="chat" />${!compact.value && t("workspaces.chat")}</a>`}
    <${Menu} label=${t("common.more")} button=${html`<${Icon} name="more" />`} align="end">
      ${(/** @type {() => void} */ close) => html`
        <a role=${entry} href=${`/workspaces/~new?from=${encodeURIComponent(one.name)}`} onClick=${close}><${Icon} name="copy" />${t("workspaces.duplicate")}</a>
        ${one.mine && html`<button type="button" role=${entry} class=${one.replaces ? "" : "danger"} onClick=${() => { close(); removeWorkspace(one); }}>
          <${Icon} name=${one.replaces ? "again" : "trash"} />${t(one.replaces ? "workspaces.reset" : "workspaces.delete")}</button>`}`}
    <//>`;
}

/** Whose it is, and what answers there now. @param {{one: Workspace}} props */
function About({ one }) {
  const whose = one.mine ? (one.replaces ? t("workspaces.yours") : "") : WHOSE[one.source]();
  return html`<div class="notice"><${Icon} name="route" /><div class="grow">
    <p>${one.now.model ? t("workspaces.answersNow", { model: one.now.model, reason: one.now.reason }) : one.now.reason}</p>
    ${one.advice && html`<p class="small">${one.advice}</p>`}
    ${whose && html`<p class="small muted">${whose}</p>`}</div></div>`;
}

const WHOSE = {
  "built-in": () => t("workspaces.overrides"), settings: () => t("workspaces.overridesSettings"), page: () => t("workspaces.overridesShared"),
};
