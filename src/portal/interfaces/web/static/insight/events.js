// What happened: a list that is narrowed by kind and by words.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/insight.js";
import { activityNews } from "../state/news.js";
import { moment } from "../format.js";
import { Icon } from "../icons.js";
import { usePages, useTicks } from "../load.js";
import { t } from "../strings.js";

const KINDS = /** @type {const} */ (["backend", "breaker", "channel", "sign-in", "settings", "upgrade", "backup", "warning", "error"]);

export function Events() {
  const [kind, setKind] = useState("");
  const [text, setText] = useState("");
  const news = useTicks(activityNews);
  const { data, next, loaded, failed, more } = usePages((query) => api.events({ ...query, kind, text }), [kind, text, news]);
  return html`<form class="row wrap" role="search" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
      <label class="row"><span class="label">${t("insight.kind")}</span><select class="input" value=${kind} onChange=${(/** @type {any} */ event) => setKind(event.target.value)}>
        <option value="">${t("insight.allKinds")}</option>${KINDS.map((each) => html`<option key=${each} value=${each}>${t(`insight.kind.${each}`)}</option>`)}</select></label>
      <label class="row grow"><span class="label">${t("insight.words")}</span><input class="input" type="search" dir="auto" maxlength="200" autocomplete="off" value=${text}
        onInput=${(/** @type {any} */ event) => setText(event.target.value)} /></label></form>
    ${failed && html`<p class="bad" role="alert">${failed.status === 403 ? failed.message : t("settings.loadFailed")}</p>`}
    ${loaded && !failed && !data.length && html`<p class="muted">${t(kind || text ? "insight.noneFound" : "insight.noEvents")}</p>`}
    <ul class="lines events" aria-label=${t("insight.events")}>${data.map((one) => html`<${Event} key=${one.id} event=${one} />`)}</ul>
    ${next && html`<div><button type="button" class="button" onClick=${more}>${t("insight.older")}</button></div>`}`;
}

/** @param {{event: import("../api/insight.js").Event}} props */
function Event({ event }) {
  const { at, kind, level, text, source, request } = event;
  const bad = level === "error" || level === "critical" || level === "warning";
  return html`<li class="line"><span class=${bad ? "status is-down" : "status is-waiting"}><${Icon} name=${bad ? "warn" : "info"} /><span class="sr-only">${level}</span></span>
    <div class="grow"><p dir="auto">${text}</p><p class="small muted"><time>${moment(at)}</time> · ${t(`insight.kind.${kind}`)} · <span class="mono" dir="ltr">${source}</span>${request && html` · <span class="mono" dir="ltr">${request}</span>`}</p></div></li>`;
}
