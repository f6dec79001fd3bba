// Why this model answered: the stored decision in words, who else could have answered, and the whole of it below.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api.js";
import { Icon } from "../icons.js";
import { inspect } from "../state.js";
import { has, t } from "../strings.js";
import { CodeBlock } from "../chat/code.js";

/** @param {{id: string, route?: Record<string, any>|null}} props */
export function RouteDetails({ id, route }) {
  const [decision, setDecision] = useState(route ?? null);
  useEffect(() => {
    if (!route) api.route(id).then((answer) => setDecision(answer.decision ?? answer), () => {});
  }, [id]);
  const time = html`<button type="button" class="button" onClick=${() => inspect({ kind: "trace", id })}><${Icon} name="clock" />${t("route.time")}</button>`;
  if (!decision) return html`<p class="muted">${t("route.none")}</p>${time}`;
  const rows = /** @type {[string, any][]} */ ([
    [t("route.asked"), decision.requested_model ?? decision.model],
    [t("route.answered"), decision.resolved_model],
    [t("route.backend"), decision.backend],
    [t("route.reason"), decision.reason],
    [t("route.task"), taskName(decision.task)],
    [t("route.difficulty"), typeof decision.difficulty === "number" ? t(level(decision.difficulty)) : null],
    [t("route.rule"), decision.rule],
    [t("route.dropped"), decision.dropped_messages],
    [t("route.newest"), decision.newest_turns_only],
  ]).filter(([, value]) => value);
  return html`<div class="column">
    <dl class="facts">${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
    ${decision.fallbacks?.length > 0 && html`<${Fallbacks} fallbacks=${decision.fallbacks} />`}
    ${decision.candidates?.length > 1 && html`<${Candidates} candidates=${decision.candidates} />`}
    ${time}
    <details class="fold"><summary>${t("route.whole")}<${Icon} name="chevron" /></summary>
      <${CodeBlock} text=${JSON.stringify(decision, null, 2)} language="json" /></details>
  </div>`;
}

/** A task in the language of the page. @param {string|null|undefined} task */
export const taskName = (task) => (task && has(`task.${task}`) ? t(/** @type {any} */ (`task.${task}`)) : task ?? null);

/** @param {number} difficulty @returns {"route.easy"|"route.medium"|"route.hard"} */
const level = (difficulty) => (difficulty < 0.35 ? "route.easy" : difficulty < 0.65 ? "route.medium" : "route.hard");

/** @param {{candidates: {model: string, backend: string, score: number, why: string}[]}} props */
function Candidates({ candidates }) {
  return html`<section><h3 class="small">${t("route.candidates")}</h3>
    <ol class="candidates">${candidates.map(({ model, score, why }) => html`<li key=${model}>
      <div class="row"><span class="grow">${model}</span><meter min="0" max="1" value=${score} aria-label=${t("route.score", { n: Math.round(score * 100) })}></meter></div>
      <p class="small muted">${why}</p></li>`)}</ol>
  </section>`;
}

/** @param {{fallbacks: {model: string, error: string}[]}} props */
function Fallbacks({ fallbacks }) {
  return html`<section><h3 class="small">${t("route.fallbacks")}</h3>
    <ul class="candidates">${fallbacks.map(({ model, error }) => html`<li key=${model}>${model}<p class="small muted">${error}</p></li>`)}</ul>
  </section>`;
}
