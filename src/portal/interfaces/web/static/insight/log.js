// How much is logged: by everything, and by parts of Portal.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/insight.js";
import { moment } from "../format.js";
import { useLoad } from "../load.js";
import { attempt } from "../state.js";
import { t } from "../strings.js";

const LEVELS = ["debug", "info", "warning", "error"];
const SPANS = [0, 600, 3600, 86_400]; // seconds; 0 until Portal ends

export function Log() {
  const { data, failed, reload } = useLoad(api.logLevels);
  const [fields, setFields] = useState({ level: "debug", logger: "", seconds: "600" });
  /** @param {keyof typeof fields} name */
  const typed = (name) => (/** @type {any} */ event) => setFields({ ...fields, [name]: event.target.value });
  /** @param {Event} event */
  const change = (event) => {
    event.preventDefault();
    attempt(async () => {
      await api.setLogLevel({ level: fields.level, logger: fields.logger.trim(), seconds: Number(fields.seconds) || null });
      await reload();
    });
  };
  const rows = data ? [{ name: "", level: data.level, until: data.until }, ...data.loggers] : [];
  return html`<p class="muted">${t("insight.logAbout")} <a href="/manual/monitoring#logs">${t("insight.logMore")}</a></p>
    ${failed && html`<p class="bad">${failed.status === 403 ? failed.message : t("settings.loadFailed")}</p>`}
    ${data && html`<ul class="lines">${rows.map((one) => html`<li key=${one.name} class="line"><span class="grow">${one.name ? html`<code dir="ltr">${one.name}</code>` : html`<strong>${t("insight.everything")}</strong>`}</span>
      ${one.until && html`<span class="small muted">${t("insight.until", { when: moment(one.until) })}</span>`}<span class="tag">${one.level.toLowerCase()}</span></li>`)}</ul>
    <form class="row wrap" onSubmit=${change}>
      <label class="row"><span class="label">${t("insight.level")}</span><select class="input" value=${fields.level} onChange=${typed("level")}>${LEVELS.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}</select></label>
      <label class="row"><span class="label">${t("insight.logger")}</span><input class="input" dir="ltr" autocomplete="off" spellcheck=${false} placeholder="portal.routing" pattern="[A-Za-z0-9_.]*" maxlength="200" value=${fields.logger} onInput=${typed("logger")} /></label>
      <label class="row"><span class="label">${t("insight.span")}</span><select class="input" value=${fields.seconds} onChange=${typed("seconds")}>${SPANS.map((each) => html`<option key=${each} value=${String(each)}>${t(/** @type {"insight.span.0"} */ (`insight.span.${each}`))}</option>`)}</select></label>
      <button class="button primary">${t("insight.change")}</button></form>`}`;
}
