// One turn: the question, the answer's items in their order, what is being waited for, and what can be done with it.
import { html } from "htm/preact";
import { guideModel } from "../state.js";
import { t } from "../strings.js";
import { goesOn, isRunning, waitsForPerson } from "../turns.js";
import { Actions, ReadAloud } from "./actions.js";
import { OutputItem } from "./items.js";
import { Outcome } from "./outcome.js";
import { Progress } from "./progress.js";
import { Question } from "./question.js";
import { Sources } from "./sources.js";

/** @param {{turn: import("../state/chat.js").TurnSignal, last: boolean}} props */
export function Turn({ turn, last }) {
  const value = turn.value;
  const going = isRunning(value);
  const name = value.model === guideModel.value ? t("model.guideName") : value.model;
  return html`
    ${!goesOn(value) && html`<${Question} turn=${turn} />`}
    <article class="answer" aria-label=${t("turn.answer", { model: name })}>
      ${value.output.map((item) => item && html`<${OutputItem} key=${item.id} item=${item} going=${going} span=${value.thinking[item.id ?? ""]} turn=${value} />`)}
      ${going && waits(value) && html`<${Progress} turn=${value} />`}
      ${going && value.output.some((item) => item?.type === "message") && html`<div class="row"><${ReadAloud} turn=${turn} /></div>`}
      ${!going && html`<${Sources} turn=${value} />`}
      ${!going && html`<${Outcome} turn=${turn} />`}
      ${!going && value.id !== null && !waitsForPerson(value) && html`<${Actions} turn=${turn} last=${last} />`}
    </article>`;
}

/** Something is waited for that no item shows already. @param {import("../types.js").Turn} turn */
function waits({ progress, connection, output }) {
  if (connection === "retrying") return true;
  return progress !== null && !(progress.state === "thinking" && output.at(-1)?.type === "reasoning");
}
