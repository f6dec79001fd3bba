// What the wait is for. Nothing for the first moment, then words and, after a while, seconds; never a bare spinner.
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { clock, watchClock } from "../state.js";
import { has, t } from "../strings.js";

/** @param {{turn: import("../types.js").Turn}} props */
export function Progress({ turn }) {
  useEffect(() => watchClock(), []);
  const since = turn.progress?.since ?? clock.value;
  const seconds = Math.floor((clock.value - since) / 1000);
  return html`<p class="progress" role="status">
    <span class="pulse" aria-hidden="true"></span>
    <span>${words(turn)}</span>
    ${seconds >= 3 && html`<span class="muted" aria-hidden="true">${t("progress.seconds", { n: seconds })}</span>`}
  </p>`;
}

/** @param {import("../types.js").Turn} turn */
function words({ connection, progress, model }) {
  if (connection === "retrying") return t("progress.retrying");
  const { state, detail } = progress ?? { state: "working", detail: "" };
  if (typeof detail === "string" && detail) return detail;
  const key = `progress.${state}`;
  return has(key) ? t(key, { model }) : t("progress.working", { model });
}
