// A schedule or webhook to make or change, and what can be done with it.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { ApiError } from "../api.js";
import * as api from "../api/schedules.js";
import { attempt } from "../state.js";
import { forgetSchedule, pauseSchedule, runNow } from "../state/schedules.js";
import { Bar } from "../layout.js";
import { Confirm } from "../dialogs.js";
import { Icon } from "../icons.js";
import { Menu } from "../menu.js";
import { navigate } from "../router.js";
import { t } from "../strings.js";
import { CopyLine } from "../settings/copy.js";
import { Details, Permits, Targets, Task, When } from "./fields.js";
import { History } from "./history.js";

/** @typedef {import("../types.js").Schedule} Schedule @typedef {import("../types.js").ScheduleFields} Fields */

/** @type {Fields} */
export const EMPTY = {
  name: "", prompt: "", when: "every weekday at 8:00", zone: Intl.DateTimeFormat().resolvedOptions().timeZone, workspace: "auto",
  continued: false, catch_up: "once", jitter: 0, parallel: 1, targets: ["page"], tools: [], signature: "", secret: "",
};

/** @param {{schedule: Schedule|null, initial: Fields}} props */
export function Editor({ schedule, initial }) {
  const [saved, setSaved] = useState(initial);
  const [fields, setFields] = useState(initial);
  const [state, setState] = useState({ busy: false, error: "", url: "" });
  const dirty = !schedule || JSON.stringify(fields) !== JSON.stringify(saved);
  /** @param {Partial<Fields>} changes */
  const change = (changes) => setFields((old) => ({ ...old, ...changes }));
  /** @param {Event} event */
  const save = async (event) => {
    event.preventDefault();
    setState({ ...state, busy: true, error: "" });
    try {
      const url = await (schedule ? changed(schedule, fields, saved) : made(fields));
      setSaved(fields);
      setState({ busy: false, error: "", url });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setState({ ...state, busy: false, error: error.status ? error.message : t("error.unreachable") });
    }
  };
  const title = schedule ? schedule.name : t("schedules.new");
  if (state.url && !schedule) return html`<${Bar} title=${title} /><div class="page"><div class="page-inner"><${Address} url=${state.url} onSeen=${() => navigate("/schedules")} /></div></div>`;
  return html`<${Bar} title=${title}>${schedule && html`<${Actions} one=${schedule} onAddress=${(/** @type {string} */ url) => setState({ ...state, url })} />`}<//>
    <div class="page"><div class="page-inner">
      ${state.url && html`<${Address} url=${state.url} onSeen=${() => setState({ ...state, url: "" })} />`}
      ${schedule?.paused && html`<div class="notice"><${Icon} name="info" /><p class="grow">${t("schedules.pausedAbout")}</p><button type="button" class="button" onClick=${() => pauseSchedule(schedule)}>${t("schedules.resume")}</button></div>`}
      <form class="schedule-form" onSubmit=${save}>
        <${Task} fields=${fields} change=${change} />
        <${When} fields=${fields} change=${change} fixed=${Boolean(schedule)} />
        <${Targets} fields=${fields} change=${change} />
        <${Permits} fields=${fields} change=${change} />
        <${Details} fields=${fields} change=${change} />
        <div class="schedule-save"><p class="bad" role="alert" dir="auto">${state.error}</p>
          <div class="row"><button class="button primary" disabled=${state.busy || !dirty || !fields.prompt.trim()}>${t(schedule ? "common.save" : "schedules.create")}</button>
          ${schedule && dirty && html`<button type="button" class="ghost" onClick=${() => setFields(saved)}>${t("common.cancel")}</button>`}</div></div>
      </form>
      ${schedule && html`<${History} id=${schedule.id} />`}
    </div></div>`;
}

/** @param {Fields} fields @returns {Promise<string>} a webhook's address */
async function made({ name, secret, ...others }) {
  const { id, url } = await api.makeSchedule({ ...others, ...(name.trim() ? { name: name.trim() } : {}), ...(secret ? { secret } : {}) });
  if (!url) navigate(`/schedules/${encodeURIComponent(id)}`, { replace: true });
  return url ?? "";
}

/** @param {Schedule} schedule @param {Fields} fields @param {Fields} saved */
async function changed({ id }, fields, saved) {
  const differs = (/** @type {[string, any]} */ [name, value]) => JSON.stringify(value) !== JSON.stringify(saved[/** @type {keyof Fields} */ (name)]);
  await api.changeSchedule(id, Object.fromEntries(Object.entries(fields).filter(differs)));
  return "";
}

/** A webhook's address, shown once. @param {{url: string, onSeen: () => void}} props */
function Address({ url, onSeen }) {
  return html`<div class="notice fresh" role="status"><p class="grow">${t("schedules.addressOnce")}</p>
    <${CopyLine} text=${url} /><button type="button" class="button" onClick=${onSeen}>${t("settings.keySeen")}</button></div>`;
}

/** @param {{one: Schedule, onAddress: (url: string) => void}} props */
function Actions({ one, onAddress }) {
  const [asking, setAsking] = useState(/** @type {"delete"|"renew"|null} */ (null));
  const forget = async () => {
    if (await forgetSchedule(one)) navigate("/schedules");
  };
  const renew = () => attempt(async () => onAddress((await api.renewAddress(one.id)).url));
  const entry = (/** @type {() => void} */ close, /** @type {string} */ icon, /** @type {string} */ words, /** @type {() => unknown} */ run, danger = false) =>
    html`<button type="button" role="menuitem" tabindex="-1" class=${danger ? "danger" : ""} onClick=${() => { close(); run(); }}><${Icon} name=${icon} />${words}</button>`;
  return html`${one.kind !== "hook" && html`<button type="button" class="button" onClick=${() => runNow(one)}>${t("schedules.run")}</button>`}
    <${Menu} label=${t("common.more")} button=${html`<${Icon} name="more" />`} align="end">${(/** @type {() => void} */ close) => html`
      ${entry(close, one.paused ? "play" : "pause", t(one.paused ? "schedules.resume" : "schedules.pause"), () => pauseSchedule(one))}
      ${one.kind === "hook" && entry(close, "again", t("schedules.renew"), () => setAsking("renew"))}
      ${entry(close, "trash", t("common.delete"), () => setAsking("delete"), true)}`}<//>
    ${asking === "delete" && html`<${Confirm} title=${t("schedules.deleteOne", { name: one.name })} text=${t("schedules.deleteText")} action=${t("common.delete")} danger=${true} onYes=${forget} onClose=${() => setAsking(null)} />`}
    ${asking === "renew" && html`<${Confirm} title=${t("schedules.renew")} text=${t("schedules.renewText")} action=${t("schedules.renew")} onYes=${renew} onClose=${() => setAsking(null)} />`}`;
}
