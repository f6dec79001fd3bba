// The fields of a workspace, in groups.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { me, personas } from "../state.js";
import { t } from "../strings.js";
import { RANGES } from "./wrong.js";

/** @typedef {import("../types.js").WorkspaceFields} Fields @typedef {{fields: Fields, change: (changes: Partial<Fields>) => void}} Props */

const TASKS = /** @type {const} */ (["general", "coding", "math", "reasoning", "creative", "documents", "research", "vision", "image_generation", "audio", "video_generation"]);
const STRATEGIES = /** @type {const} */ (["auto", "quality", "speed", "balanced", "cost"]);
const NUMBERS = /** @type {const} */ (["temperature", "top_p", "top_k", "seed", "num_ctx"]);

/** @param {any} event */
const typed = (event) => event.target.value;

/** @param {Props & {name: string, setName: ((name: string) => void)|null}} props  no `setName` where it has its name */
export function Names({ fields, change, name, setName }) {
  return html`<div class="form">
    <div class="field"><label for="ws-title">${t("workspaces.label")}</label>
      <input id="ws-title" class="input" dir="auto" maxlength="100" autocomplete="off" value=${fields.title} onInput=${(/** @type {any} */ event) => change({ title: typed(event) })} /></div>
    <div class="field"><label for="ws-name">${t("workspaces.name")}</label>
      <input id="ws-name" class="input mono" dir="ltr" maxlength="64" spellcheck="false" autocomplete="off" value=${name} readonly=${!setName} aria-describedby="ws-name-hint"
        onInput=${(/** @type {any} */ event) => setName?.(typed(event))} /><p id="ws-name-hint" class="small muted">${t("workspaces.nameHint")}</p></div>
    <div class="field"><label for="ws-description">${t("workspaces.description")}</label>
      <input id="ws-description" class="input" dir="auto" maxlength="500" autocomplete="off" value=${fields.description} onInput=${(/** @type {any} */ event) => change({ description: typed(event) })} /></div>
  </div>`;
}

/** Persona, instructions, what it is for. @param {Props} props */
export function Behaviour({ fields, change }) {
  const role = personas.value.find((each) => each.name === fields.persona);
  return html`<div class="form">
    <div class="field"><label for="ws-persona">${t("workspaces.persona")}</label>
      <select id="ws-persona" class="input" onChange=${(/** @type {any} */ event) => change({ persona: typed(event) })}>
        <option value="" selected=${!fields.persona}>${t("workspaces.personaNone")}</option>
        ${personas.value.map((each) => html`<option key=${each.name} value=${each.name} selected=${each.name === fields.persona}>${each.title}: ${each.description}</option>`)}
      </select>
      ${role && html`<details class="small"><summary>${t("workspaces.personaSays")}</summary><p class="workspace-says" dir="auto">${role.prompt}</p></details>`}</div>
    <div class="field"><label for="ws-instructions">${t("workspaces.instructions")}</label>
      <textarea id="ws-instructions" class="input" dir="auto" rows="8" maxlength="50000" placeholder=${t("workspaces.instructionsExample")} value=${fields.instructions} aria-describedby="ws-instructions-hint"
        onInput=${(/** @type {any} */ event) => change({ instructions: typed(event) })}></textarea>
      <p id="ws-instructions-hint" class="small muted">${t("workspaces.instructionsHint")}</p></div>
    <div class="form-pair">
      <div class="field"><label for="ws-task">${t("workspaces.task")}</label>
        <select id="ws-task" class="input" onChange=${(/** @type {any} */ event) => change({ task: typed(event) })}>
          <option value="" selected=${!fields.task}>${t("workspaces.task.any")}</option>
          ${TASKS.map((each) => html`<option key=${each} value=${each} selected=${each === fields.task}>${t(`workspaces.task.${each}`)}</option>`)}</select></div>
      <div class="field"><label for="ws-strategy">${t("workspaces.strategy")}</label>
        <select id="ws-strategy" class="input" onChange=${(/** @type {any} */ event) => change({ strategy: typed(event) })}>
          ${STRATEGIES.map((each) => html`<option key=${each} value=${each} selected=${each === fields.strategy}>${t(`workspaces.strategy.${each}`)}</option>`)}</select></div>
    </div>
  </div>`;
}

/** Sampling defaults and the longest answer. @param {Props} props */
export function Limits({ fields, change }) {
  /** @param {string} name @param {string} text */
  const set = (name, text) => {
    const { [name]: _, ...others } = fields.parameters;
    change({ parameters: text === "" ? others : { ...others, [name]: Number(text) } });
  };
  return html`<fieldset><legend class="label">${t("workspaces.sampling")}</legend>
    <p class="small muted">${t("workspaces.samplingHint")}</p>
    <div class="workspace-numbers">
      ${NUMBERS.map((name) => html`<div key=${name} class="field"><label for=${`ws-${name}`}>${t(`workspaces.p.${name}`)}</label>
        <input id=${`ws-${name}`} class="input" type="number" min=${RANGES[name][0]} max=${RANGES[name][1]} step=${RANGES[name][1] ? "any" : "1"} value=${fields.parameters[name] ?? ""}
          onInput=${(/** @type {any} */ event) => set(name, typed(event))} /></div>`)}
      <div class="field"><label for="ws-limit">${t("workspaces.limit")}</label>
        <input id="ws-limit" class="input" type="number" min="1" step="1" title=${t("workspaces.limitHint")} value=${fields.max_output_tokens ?? ""}
          onInput=${(/** @type {any} */ event) => change({ max_output_tokens: typed(event) === "" ? null : Number(typed(event)) })} /></div>
    </div></fieldset>`;
}

/** @param {{users: string[], onChange: (users: string[]) => void}} props */
export function Who({ users, onChange }) {
  const mine = me.value?.user?.id ?? "";
  const [some, setSome] = useState(users.length > 1 || (users.length === 1 && users[0] !== mine));
  const chosen = some ? "some" : users.length ? "me" : "all";
  /** @param {"me"|"all"|"some"} who */
  const choose = (who) => {
    setSome(who === "some");
    if (who !== "some") onChange(who === "me" ? [mine] : []);
    else if (!users.length) onChange([mine]);
  };
  return html`<div class="form"><fieldset class="choices-row"><legend class="label">${t("workspaces.who")}</legend>
      ${/** @type {("me"|"all"|"some")[]} */ (["me", "all", "some"]).map((each) => html`<label key=${each} class="radio">
        <input type="radio" name="ws-who" checked=${chosen === each} onChange=${() => choose(each)} /><span>${t(`workspaces.who.${each}`)}</span></label>`)}</fieldset>
    ${some && html`<div class="field"><label for="ws-users">${t("workspaces.whoIds")}</label>
      <input id="ws-users" class="input mono" dir="ltr" spellcheck="false" autocomplete="off" value=${users.join(", ")}
        onChange=${(/** @type {any} */ event) => onChange(typed(event).split(",").map((/** @type {string} */ id) => id.trim()).filter(Boolean))} /></div>`}</div>`;
}
