// The plan of an answer: its steps, ticked off as they are done. One card that changes; folded once the talk goes on.
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { announce, turns } from "../state.js";
import { Icon } from "../icons.js";
import { behind, planAt } from "../plans.js";
import { t } from "../strings.js";
import { isRunning, waitsForPerson } from "../turns.js";

/** @typedef {import("../plans.js").Step} Step */

/** @param {{item: import("../types.js").Item, turn: import("../types.js").Turn}} props */
export function Plan({ item, turn }) {
  const plan = planAt(turns.value, turn.key, item.id);
  return plan && html`<${Card} plan=${plan} />`;
}

/** @param {{plan: import("../plans.js").PlanCard}} props */
function Card({ plan: { steps, newest, live } }) {
  const [done, all] = [behind(steps), steps.length];
  const going = isRunning(newest);
  const now = steps.findIndex((step) => step.status === "doing");
  const spoken = now < 0 ? t("plan.progress", { done, all }) : t("plan.now", { n: now + 1, all, title: steps[now].title });
  useEffect(() => void (going && announce(spoken)), [spoken]);
  return html`<details class="plan" open=${live}>
    <summary><${Icon} name="list" /><span>${t("plan.title")}</span><span class="muted small grow">${t("plan.progress", { done, all })}</span><${Icon} name="chevron" /></summary>
    <ol class="plain plan-steps">${steps.map((step, index) => html`<${Row} key=${index} step=${step} number=${index + 1} doing=${doing(going, newest)} />`)}</ol>
  </details>`;
}

/** What a step that was begun is at. @param {boolean} going @param {import("../types.js").Turn} newest @returns {"doing"|"waiting"|"paused"} */
const doing = (going, newest) => (going ? "doing" : waitsForPerson(newest) ? "waiting" : "paused");

/** @type {Record<string, string>} */
const ICONS = { open: "circle", done: "check", failed: "warn", skipped: "minus", waiting: "shield", paused: "stop" };
/** States that are said in words as well; the others are for the ear only. */
const SAID = new Set(["failed", "skipped", "waiting", "paused"]);

/** @param {{step: Step, number: number, doing: "doing"|"waiting"|"paused"}} props */
function Row({ step, number, doing }) {
  const state = step.status === "doing" ? doing : step.status;
  const word = t(/** @type {"plan.done"} */ (`plan.${state}`));
  const more = [SAID.has(state) && word, step.note, step.status === "done" && t("plan.calls", { n: step.calls ?? 0 })].filter(Boolean);
  return html`<li class=${`plan-step is-${state}`} aria-current=${step.status === "doing" ? "step" : undefined}>
    ${state === "doing" ? html`<span class="pulse" aria-hidden="true"></span>` : html`<${Icon} name=${ICONS[state]} />`}
    <span class="plan-number muted" aria-hidden="true">${number}</span>
    <span class="plan-title"><span dir="auto">${step.title}</span>${!SAID.has(state) && html`<span class="sr-only"> (${word})</span>`}
      ${more.length > 0 && html`<span class="small muted" dir="auto">${more.join(" · ")}</span>`}</span>
  </li>`;
}
