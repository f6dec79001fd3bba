// How an answer ended, when it did not simply end: the cause in words, and one button that helps.
import { html } from "htm/preact";
import { regenerate, route, running } from "../state.js";
import { Icon } from "../icons.js";
import { has, t } from "../strings.js";
import { waitsForPerson } from "../turns.js";
import { ModelPicker } from "./picker.js";

const MODEL_GONE = new Set(["model_not_found", "model_not_available"]);
const SERVER_GONE = new Set(["backend_unavailable", "backend_timeout", "backend_error", "backend_interrupted"]);
/** @type {Record<string, "turn.cut"|"turn.filtered"|"turn.broken"|"turn.stopped">} */
const INCOMPLETE = { max_output_tokens: "turn.cut", max_tokens: "turn.cut", content_filter: "turn.filtered", cancelled: "turn.stopped", user_cancelled: "turn.stopped" };

/** @param {{turn: import("../state/chat.js").TurnSignal}} props */
export function Outcome({ turn }) {
  const { status, incomplete, output } = turn.value;
  if (status === "failed") return html`<${Failed} turn=${turn} />`;
  if (status === "cancelled") return html`<p class="outcome muted small">${t("turn.stopped")}</p>`;
  if (waitsForPerson(turn.value)) return null;
  if (status === "incomplete") {
    const known = incomplete ? INCOMPLETE[incomplete] : undefined;
    return html`<p class="outcome notice small"><${Icon} name="info" /><span class="grow">${t(known ?? "turn.broken")}</span>
      ${!known && html`<${Retry} turn=${turn} />`}</p>`;
  }
  if (!output.some(Boolean)) return html`<p class="outcome muted">${t("turn.nothing")}</p>`;
  return null;
}

/** @param {{turn: import("../state/chat.js").TurnSignal}} props */
function Failed({ turn }) {
  const { error, model } = turn.value;
  const code = error?.code ?? "";
  return html`<div class="outcome notice is-bad" role="alert">
    <${Icon} name="warn" /><span class="grow">${cause(error, model)}</span>
    ${MODEL_GONE.has(code)
      ? html`<${ModelPicker} class="button" label=${t("error.chooseModel")} text=${t("error.chooseModel")} value=${null}
          onPick=${(/** @type {string} */ id) => regenerate(turn, id)} />`
      : html`<${Retry} turn=${turn} />`}
    ${SERVER_GONE.has(code) && route.value.name === "chat" && html`<a class="small" href="/models">${t("error.openModels")}</a>`}
  </div>`;
}

/** @param {import("../types.js").Failure|null} error @param {string} model */
function cause(error, model) {
  if (error?.status === 0) return t("error.unreachable");
  const key = `error.${error?.code}`;
  if (error?.message) return error.message;
  return has(key) ? t(key, { model }) : t("error.generic");
}

/** @param {{turn: import("../state/chat.js").TurnSignal}} props */
function Retry({ turn }) {
  return html`<button type="button" class="button" disabled=${Boolean(running.value)} onClick=${() => regenerate(turn)}>
    <${Icon} name="again" />${t("common.retry")}
  </button>`;
}
