// Skills: which there are, what each says and contains, removing one, and installing others after a look.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/skills.js";
import { attempt, me, toast, toolNews, toolsChanged } from "../state.js";
import { bytes } from "../format.js";
import { Bar } from "../layout.js";
import { Confirm } from "../dialogs.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";
import { Markdown } from "../chat/markdown.js";
import { InstallSkills } from "../tools/install.js";

/** @typedef {import("../types.js").Skill} Skill */

export function View() {
  useSheet("approvals");
  const { data, failed, reload } = useLoad(api.skills, [toolNews.value]);
  return html`<${Bar} title=${t("skills.title")} />
    <div class="page"><div class="page-inner is-wide">
      <p class="muted">${t("skills.about")} <a href="/manual/skills">${t("approvals.more")}</a></p>
      ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
      ${data && !data.data.length && html`<p class="notice"><${Icon} name="info" /><span class="grow">${t("skills.none")}</span></p>`}
      ${data && data.data.length > 0 && html`<ul class="cards">${data.data.map((each) => html`<${One} key=${each.name} skill=${each} reload=${reload} />`)}</ul>`}
      ${isOwner() && html`<details class="card"><summary>${t("skills.install")}</summary><${InstallSkills} onInstalled=${reload} /></details>`}
      <p class="small muted">${t("skills.perWorkspace")} <a href="/workspaces">${t("workspaces.title")}</a></p>
    </div></div>`;
}

const isOwner = () => me.value?.user?.role === "owner";

/** @param {{skill: Skill, reload: () => Promise<void>}} props */
function One({ skill, reload }) {
  const { name, description, installed, trusted, folder } = skill;
  const [open, setOpen] = useState(false);
  return html`<li class="card" aria-label=${name}>
    <div class="card-head"><h2 class="grow clip skill-name">${name}</h2><span class="tag">${t(trusted ? "skills.trusted" : "skills.untrusted")}</span>
      ${installed && isOwner() && html`<${Remove} name=${name} reload=${reload} />`}</div>
    <p class="small" dir="auto">${description}</p>
    ${!installed && html`<p class="small muted">${t("skills.elsewhere")} <span class="mono" dir="ltr">${folder}</span></p>`}
    <details class="fold" onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}><summary>${t("skills.look")}<${Icon} name="chevron" /></summary>
      ${open && html`<${Whole} name=${name} />`}</details>
  </li>`;
}

/** @param {{name: string}} props */
function Whole({ name }) {
  const { data, failed } = useLoad(() => api.skill(name), [name, toolNews.value]);
  if (failed) return html`<p class="bad">${t("settings.loadFailed")}</p>`;
  return data && html`<${Contents} skill=${data} />`;
}

/** What a skill says of itself and contains, scripts first. @param {{skill: Skill}} props */
export function Contents({ skill }) {
  const { licence, compatibility, allowed_tools: wants, metadata, files = [], instructions = "" } = skill;
  const said = [[t("skills.licence"), licence], [t("skills.needs"), compatibility], [t("skills.wants"), wants], ...Object.entries(metadata)].filter(([, value]) => value);
  const sorted = [...files].sort((a, b) => Number(b.script) - Number(a.script));
  return html`<div class="fold-body column">
    ${said.length > 0 && html`<dl class="arguments">${said.map(([key, value]) => html`<div key=${key}><dt>${key}</dt><dd dir="auto">${value}</dd></div>`)}</dl>`}
    <p class="label">${t("skills.files", { n: files.length })}</p>
    <ul class="plain">${sorted.map((file) => html`<li key=${file.path} class="row wrap small"><code class="mono">${file.path}</code><span class="muted">${bytes(file.size)}</span>
      ${file.script && html`<span class="tag risk is-execute">${t("skills.script")}</span>`}</li>`)}</ul>
    <p class="label">${t("skills.instructions")}</p>
    <div class="skill-text" tabindex="0" role="group" aria-label=${t("skills.instructions")}><${Markdown} text=${instructions} done=${true} /></div>
  </div>`;
}

/** @param {{name: string, reload: () => Promise<void>}} props */
function Remove({ name, reload }) {
  const [asking, setAsking] = useState(false);
  const remove = () => attempt(async () => {
    await api.removeSkill(name);
    toolsChanged();
    await reload();
    toast(t("models.removed", { name }));
  });
  return html`<button type="button" class="ghost icon-only" aria-label=${t("models.remove", { name })} title=${t("models.remove", { name })} onClick=${() => setAsking(true)}><${Icon} name="trash" /></button>
    ${asking && html`<${Confirm} title=${t("models.remove", { name })} text=${t("skills.removeText")} action=${t("models.removeShort")} danger=${true}
      onYes=${remove} onClose=${() => setAsking(false)} />`}`;
}
