// Choosing a model: a button that opens a list with type-ahead, saying of each model what it is.
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { chatModels, guideModel, openWorkspaces } from "../state.js";
import { bytes, context, count } from "../format.js";
import { Icon } from "../icons.js";
import { closeOutside, place } from "../menu.js";
import { has, t } from "../strings.js";

/** @typedef {import("../types.js").Model} Model */
/** @typedef {{id: string, name: string, now: string, facts: string[], group: "workspaces"|"models"}} Choice */
/** @param {string|null} id */
export const modelName = (id) => (id === guideModel.value ? t("model.guideName") : (id ?? t("model.choose")));

/** What a turn can be sent to: workspaces, then plain models. @returns {Choice[]} */
const choices = () => [
  ...openWorkspaces.value.map((one) => /** @type {Choice} */ ({ id: one.name, name: one.name, now: one.now.model ?? "", facts: [one.title, one.description].filter(Boolean), group: "workspaces" })),
  ...chatModels.value.map((model) => /** @type {Choice} */ ({ id: model.id, name: modelName(model.id), now: "", facts: about(model), group: "models" })),
];

/**
 * @param {{
 *   label: string, value: string|null, onPick: (id: string) => void, class?: string, text?: string, onDone?: () => void,
 * }} props  `text` replaces the model's name on the button
 */
export function ModelPicker({ label, value, onPick, class: className = "button", text, onDone }) {
  const [open, setOpen] = useState(false);
  const anchor = useRef(/** @type {HTMLButtonElement|null} */ (null));
  const close = () => {
    setOpen(false);
    anchor.current?.focus();
  };
  const pick = (/** @type {string} */ id) => {
    close();
    onPick(id);
    onDone?.();
  };
  return html`<span class="menu-anchor">
    <button ref=${anchor} type="button" class=${className} aria-haspopup="dialog" aria-expanded=${open ? "true" : "false"}
      aria-label=${text ? label : `${label}: ${modelName(value)}`} onClick=${() => setOpen(!open)}>
      <span class="clip">${text ?? modelName(value)}</span><${Icon} name="chevron" />
    </button>
    ${open && html`<${List} anchor=${anchor} value=${value} pick=${pick} close=${close} leave=${() => setOpen(false)} />`}
  </span>`;
}

/** @param {{anchor: {current: HTMLElement|null}, value: string|null, pick: (id: string) => void, close: () => void, leave: () => void}} props */
function List({ anchor, value, pick, close, leave }) {
  const box = useRef(/** @type {HTMLDivElement|null} */ (null));
  const now = useRef({ filter: "", at: /** @type {number|null} */ (null) }); // keys come faster than what they change is drawn
  const [, draw] = useState(0);
  const change = (/** @type {Partial<{filter: string, at: number|null}>} */ made) => {
    Object.assign(now.current, made);
    draw((times) => times + 1);
  };
  const look = () => looked(now.current.filter, now.current.at, value);
  const { found, current } = look();
  useLayoutEffect(() => {
    if (!box.current || !anchor.current) return;
    box.current.showPopover();
    place(box.current, anchor.current);
    box.current.querySelector("input")?.focus();
  }, []);
  useLayoutEffect(() => box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" }), [current]);
  useEffect(() => closeOutside([box, anchor], leave), []);
  /** @param {KeyboardEvent} event */
  const keys = (event) => {
    const { found, current } = look();
    const setAt = (/** @type {number} */ at) => change({ at });
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && found[current]) pick(found[current].id);
    else if (event.key === "ArrowDown") setAt((current + 1) % found.length);
    else if (event.key === "ArrowUp") setAt((current - 1 + found.length) % found.length);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<div ref=${box} class="menu picker" popover="manual" role="dialog" aria-label=${t("model.choose")} onKeyDown=${keys}>
    <input class="input" type="text" role="combobox" aria-expanded="true" aria-controls="model-list" aria-autocomplete="list"
      aria-activedescendant=${found[current] ? `model-${current}` : undefined} aria-label=${t("model.find")} placeholder=${t("model.find")}
      autocomplete="off" value=${now.current.filter} onInput=${(/** @type {any} */ event) => change({ filter: event.target.value, at: null })} />
    ${found.length === 0 && html`<p class="menu-note small muted">${t("model.none")}</p>`}
    <div id="model-list" role="listbox" aria-label=${t("model.label")} class="picker-list">
      ${/** @type {const} */ (["workspaces", "models"]).map((group) => found.some((choice) => choice.group === group) && html`<div key=${group} role="group" aria-labelledby=${`picker-${group}`}>
        <div id=${`picker-${group}`} class="picker-group small muted">${t(group === "models" ? "models.title" : "workspaces.title")}</div>
        ${found.map((choice, index) => choice.group === group && html`<${Option} key=${choice.id} id=${`model-${index}`} choice=${choice} active=${index === current}
          chosen=${choice.id === value} pick=${pick} hover=${() => change({ at: index })} />`)}</div>`)}
    </div>
    <hr /><a class="ghost picker-more" href="/models" onClick=${leave}><${Icon} name="model" />${t("model.manage")}</a>
  </div>`;
}

/**
 * What fits a text, and which of it is chosen: where the person went, else the nearest by name.
 * @param {string} filter @param {number|null} at @param {string|null} value
 */
function looked(filter, at, value) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const found = choices().filter((choice) => words.every((word) => describe(choice).includes(word)));
  const near = (/** @type {Choice} */ { id }) => (words.length ? words.every((word) => id.toLowerCase().includes(word)) : id === value);
  return { found, current: Math.min(at ?? Math.max(0, found.findIndex(near)), found.length - 1) };
}

/** @param {{id: string, choice: Choice, active: boolean, chosen: boolean, pick: (id: string) => void, hover: () => void}} props */
function Option({ id, choice, active, chosen, pick, hover }) {
  return html`<div id=${id} role="option" class="option" aria-selected=${active ? "true" : "false"} onClick=${() => pick(choice.id)} onMouseMove=${hover}>
    <span class="option-name"><span class="clip">${choice.name}</span>${choice.now && html`<span class="small muted clip option-now">${choice.now}</span>`}${chosen && html`<${Icon} name="check" /><span class="sr-only">${t("model.chosen")}</span>`}</span>
    <span class=${choice.group === "workspaces" ? "small muted clip" : "small muted"}>${choice.facts.join(" · ")}</span>
  </div>`;
}

/** What a model is, in a few words each. @param {Model} model @returns {string[]} */
export function about(model) {
  if (model.id === guideModel.value) return [t("model.guide")];
  const facts = [model.backend];
  if (model.parameters) facts.push(t("model.weights", { size: count(model.parameters) }));
  if (model.size) facts.push(bytes(model.size));
  if (model.context_window) facts.push(t("model.context", { size: context(model.context_window) }));
  if (model.loaded) facts.push(t("model.loaded"));
  for (const each of model.capabilities) if (has(`model.cap.${each}`)) facts.push(t(/** @type {any} */ (`model.cap.${each}`)));
  return facts;
}

/** @param {Choice} choice */
const describe = ({ id, name, facts }) => `${id} ${name} ${facts.join(" ")}`.toLowerCase();
