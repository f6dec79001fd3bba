// Under an answer: what can be done with it, and what it cost. Always visible, quiet.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { canBranch, inspect, rateTurn, regenerate, switchBranch } from "../state.js";
import { duration, moment } from "../format.js";
import { Icon } from "../icons.js";
import { lazy } from "../lazy.js";
import { Menu } from "../menu.js";
import { has, t } from "../strings.js";
import { answerText } from "../turns.js";
import { copyText } from "../markdown/code.js";
import { ModelPicker } from "./picker.js";

export const ReadAloud = lazy(async () => (await import("../voice/aloud.js")).ReadAloud);

/** @param {{turn: import("../state/chat.js").TurnSignal, last: boolean}} props */
export function Actions({ turn }) {
  const value = turn.value;
  const branch = canBranch(value);
  return html`<footer class="actions">
    <div class="row action-buttons">
      ${value.siblings.length > 1 && html`<${Branches} turn=${value} />`}
      <${ReadAloud} turn=${turn} />
      <${Copy} text=${() => answerText(value)} />
      ${value.stored && html`<${Rating} turn=${turn} />`}
      ${branch && html`<button type="button" class="ghost icon-only quiet" aria-label=${t("turn.regenerate")} onClick=${() => regenerate(turn)}>
        <${Icon} name="again" /></button>`}
      <${Menu} class="ghost icon-only quiet" label=${t("common.more")} button=${html`<${Icon} name="more" />`}>
        ${(/** @type {() => void} */ close) => html`
          <p class="menu-note small muted">${moment(value.createdAt)}</p>
          ${value.stored && html`<button type="button" role="menuitem" tabindex="-1" onClick=${() => { close(); inspect({ kind: "raw", id: value.id }); }}><${Icon} name="code" />${t("turn.raw")}</button>`}
          <button type="button" role="menuitem" tabindex="-1" onClick=${() => { close(); inspect({ kind: "route", id: value.id, route: value.route }); }}><${Icon} name="route" />${t("turn.route")}</button>`}
      <//>
    </div>
    <div class="row facts-line small muted">
      <button type="button" class="chip" aria-label=${`${t("turn.routeChip", { model: value.model })}. ${t("turn.route")}`}
        onClick=${() => inspect({ kind: "route", id: value.id, route: value.route })}>${answeredBy(value)}</button>
      ${branch && html`<${ModelPicker} class="chip" label=${t("turn.regenerateWith")} text=${t("turn.regenerateShort")} value=${value.model}
        onPick=${(/** @type {string} */ id) => regenerate(turn, id)} />`}
      <span class="facts-text">${facts(value).join(" · ")}</span>
    </div>
  </footer>`;
}

/** The model; where Portal chose it, for what. @param {import("../types.js").Turn} turn */
function answeredBy({ model, route }) {
  const task = route?.task && route.task !== "general" ? route.task : null;
  return task && has(`task.${task}`) ? `${t(/** @type {any} */ (`task.${task}`))} → ${model}` : model;
}

/** Tokens, seconds, tokens per second. @param {import("../types.js").Turn} turn @returns {string[]} */
function facts({ usage, estimated, ms }) {
  const n = usage?.output_tokens ?? 0;
  const made = [];
  if (n) made.push(t(estimated ? "turn.tokensEstimated" : "turn.tokens", { n }));
  if (ms && ms >= 100) made.push(duration(ms));
  if (n > 1 && ms && ms > 200) made.push(t("turn.rate", { n: Math.round(n / (ms / 1000)) }));
  return made;
}

/** @param {{text: () => string}} props */
function Copy({ text }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    if (!(await copyText(text()))) return;
    setCopied(true);
    setTimeout(() => setCopied(false), 1600);
  };
  return html`<button type="button" class="ghost icon-only quiet" aria-label=${t("turn.copyAnswer")} onClick=${copy}>
    <${Icon} name=${copied ? "check" : "copy"} />
  </button>`;
}

/** @param {{turn: import("../state/chat.js").TurnSignal}} props */
function Rating({ turn }) {
  const now = turn.value.feedback;
  const thumb = (/** @type {number} */ rating, /** @type {"turn.good"|"turn.poor"} */ label, /** @type {string} */ icon) =>
    html`<button type="button" class="ghost icon-only quiet" aria-label=${t(label)} aria-pressed=${now === rating ? "true" : "false"}
      onClick=${() => rateTurn(turn, now === rating ? 0 : rating)}><${Icon} name=${icon} /></button>`;
  return html`${thumb(1, "turn.good", "up")}${thumb(-1, "turn.poor", "down")}`;
}

/** @param {{turn: import("../types.js").Turn}} props */
function Branches({ turn }) {
  const { siblings, id } = turn;
  const at = siblings.indexOf(id ?? "");
  const step = (/** @type {number} */ by, /** @type {"turn.previous"|"turn.next"} */ label, /** @type {string} */ icon) =>
    html`<button type="button" class="ghost icon-only quiet" aria-label=${t(label)} disabled=${!siblings[at + by]}
      onClick=${() => go(siblings[at + by], by)}><${Icon} name=${icon} /></button>`;
  return html`<span class="row branches" data-branch=${id} role="group" aria-label=${t("turn.branch", { k: at + 1, n: siblings.length })}>
    ${step(-1, "turn.previous", "left")}<span class="small muted count">${at + 1}/${siblings.length}</span>${step(1, "turn.next", "right")}
  </span>`;
}

/** Switch, and keep the focus on the switcher, which belongs to another turn now. @param {string} id @param {number} by */
async function go(id, by) {
  await switchBranch(id);
  requestAnimationFrame(() => {
    const buttons = [...document.querySelectorAll(/** @type {"button"} */ (`[data-branch="${CSS.escape(id)}"] button`))];
    const [same, other] = by < 0 ? buttons : buttons.reverse();
    (same?.disabled ? other : same)?.focus();
  });
}
