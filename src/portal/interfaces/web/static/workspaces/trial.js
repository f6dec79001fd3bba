// Try a workspace: one question to it as it stands in the form; the answer, who gave it and why.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { personas } from "../state.js";
import { duration } from "../format.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";
import { Markdown } from "../chat/markdown.js";
import { wrong } from "./wrong.js";

/** @typedef {import("../types.js").Trial} Trial */

/** @param {{name: string, fields: import("../types.js").WorkspaceFields}} props */
export function TryOut({ name, fields }) {
  const [prompt, setPrompt] = useState("");
  const [state, setState] = useState(/** @type {{busy: boolean, error: string, made: Trial|null}} */ ({ busy: false, error: "", made: null }));
  const role = personas.value.find((each) => each.name === fields.persona);
  const example = role?.test ?? t("workspaces.tryDefault");
  /** @param {Event} event */
  const ask = async (event) => {
    event.preventDefault();
    setState({ busy: true, error: "", made: null });
    try {
      const asked = prompt.trim() || (role ? "" : example);
      setState({ busy: false, error: "", made: await api.testWorkspace(name, { prompt: asked, workspace: fields }) });
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      setState({ busy: false, error: wrong(error), made: null });
    }
  };
  return html`<section class="workspace-try card" aria-labelledby="ws-try"><h2 id="ws-try">${t("workspaces.try")}</h2>
    <p class="small muted">${t("workspaces.tryHint")}</p>
    <form class="form" onSubmit=${ask}>
      <textarea class="input" dir="auto" rows="3" aria-label=${t("workspaces.tryPrompt")} placeholder=${example} value=${prompt}
        onInput=${(/** @type {any} */ event) => setPrompt(event.target.value)}></textarea>
      <div class="row"><button class="button" disabled=${state.busy}>${state.busy ? t("workspaces.trying") : t("workspaces.tryDo")}</button></div>
    </form>
    <div role="status" class="column">
      ${state.error && html`<p class="bad" dir="auto">${state.error}</p>`}
      ${state.made && html`<${Made} made=${state.made} />`}
    </div></section>`;
}

/** @param {{made: Trial}} props */
function Made({ made }) {
  const model = made.decision.resolved_model;
  const reason = made.decision.reason.replace(/^[^:]*: /, ""); // the workspace's name is known here
  return html`<h3 class="sr-only">${t("workspaces.tryAnswer")}</h3><${Markdown} text=${made.answer} done=${true} />
    <p class="small muted row"><${Icon} name="route" /><span>${t("workspaces.tryRoute", { model, reason })} · ${duration(made.ms)}</span></p>
    ${made.problems && (made.problems.length
      ? html`<p class="small row"><${Icon} name="warn" /><span>${t("workspaces.tryBad", { problems: made.problems.join("; ") })}</span></p>`
      : html`<p class="small row found is-found"><${Icon} name="check" /><span>${t("workspaces.tryGood")}</span></p>`)}`;
}
