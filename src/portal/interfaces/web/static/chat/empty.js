// An empty conversation teaches by example: four questions to click.
import { html } from "htm/preact";
import { ask } from "../state.js";
import { t } from "../strings.js";

/** @type {["empty.explain"|"empty.write"|"empty.code"|"empty.compare", "empty.explainText"|"empty.writeText"|"empty.codeText"|"empty.compareText"][]} */
const EXAMPLES = [
  ["empty.explain", "empty.explainText"],
  ["empty.write", "empty.writeText"],
  ["empty.code", "empty.codeText"],
  ["empty.compare", "empty.compareText"],
];

export function Empty() {
  return html`<section class="empty" aria-labelledby="empty-title">
    <h2 id="empty-title">${t("empty.title")}</h2>
    <p class="muted">${t("empty.lead")}</p>
    <ul class="examples">
      ${EXAMPLES.map(([name, text]) => html`<li key=${name}>
        <button type="button" class="example" onClick=${() => ask(t(text), [])}>
          <strong>${t(name)}</strong><span class="muted">${t(text)}</span>
        </button>
      </li>`)}
    </ul>
  </section>`;
}
