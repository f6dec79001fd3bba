// Schedules and webhooks: all of them with what comes next; one of them to change, with its history; a new one.
import { html } from "htm/preact";
import * as api from "../api/schedules.js";
import { compact } from "../state.js";
import { scheduleNews, pauseSchedule, runNow } from "../state/schedules.js";
import { moment } from "../format.js";
import { Bar } from "../layout.js";
import { Icon } from "../icons.js";
import { useLoad, useTicks } from "../load.js";
import { conversationPath } from "../router.js";
import { useSheet } from "../sheets.js";
import { locale, t } from "../strings.js";
import { EMPTY, Editor } from "../schedules/form.js";
import { RunStatus } from "../schedules/history.js";

/** @typedef {import("../types.js").Schedule} Schedule */

const NEW = "~new";
/** @type {[string, number][]} */
const UNITS = [["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];
/** To begin with. @type {["schedules.idea.news"|"schedules.idea.week"|"schedules.idea.hook", string][]} */
const IDEAS = [["schedules.idea.news", "every weekday at 8:00"], ["schedules.idea.week", "every Friday at 16:00"], ["schedules.idea.hook", "webhook"]];

/** @param {{route: import("../types.js").Route}} props */
export function View({ route }) {
  useSheet("schedules");
  if (!route.id) return html`<${All} />`;
  if (route.id !== NEW) return html`<${One} key=${route.id} id=${route.id} />`;
  const { query } = route;
  const initial = { ...EMPTY, prompt: query.get("prompt") ?? "", when: query.get("when") ?? EMPTY.when };
  return html`<${Editor} key=${query.toString()} schedule=${null} initial=${initial} />`;
}

function All() {
  const ticks = useTicks(scheduleNews);
  const { data, failed } = useLoad(api.schedules, [ticks]);
  return html`<${Bar} title=${t("schedules.title")}>
      <a class=${compact.value ? "button primary icon-only" : "button primary"} href=${`/schedules/${NEW}`} aria-label=${t("schedules.new")}><${Icon} name="plus" />${!compact.value && t("schedules.new")}</a><//>
    <div class="page"><div class="page-inner is-wide">
      <p class="muted">${t("schedules.about")} <a href="/manual/schedules">${t("approvals.more")}</a></p>
      ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
      ${data && !data.data.length && html`<${Ideas} />`}
      ${data && data.data.length > 0 && html`<ul class="lines">${data.data.map((each) => html`<${Line} key=${each.id} one=${each} />`)}</ul>`}
    </div></div>`;
}

function Ideas() {
  return html`<section class="column" aria-label=${t("schedules.ideas")}><p>${t("schedules.none")}</p>
    <ul class="plain column">${IDEAS.map(([words, when]) => html`<li key=${words}>
      <a class="button schedule-idea" href=${`/schedules/${NEW}?${new URLSearchParams({ prompt: t(words), when })}`}><${Icon} name="plus" /><span class="clip">${t(words)}</span></a></li>`)}</ul></section>`;
}

/** @param {{one: Schedule}} props */
function Line({ one }) {
  return html`<li class="line schedule-line">
    <a class="grow schedule-link" href=${`/schedules/${encodeURIComponent(one.id)}`}>
      <strong dir="auto" class="clip">${one.name}</strong>
      <span class="small">${timed(one)}</span>
      <span class="small muted">${one.paused ? t("schedules.paused") : one.next_at ? t("schedules.next", { time: moment(one.next_at) }) : t(one.kind === "hook" ? "schedules.waitsForCall" : "schedules.over")}</span>
    </a>
    ${one.last_run && html`<a class="small schedule-last" href=${conversationPath(one.last_run.conversation_id)}><${RunStatus} status=${one.last_run.status} /><span class="sr-only">${t("schedules.lastRun", { name: one.name })}</span></a>`}
    <button type="button" class="ghost icon-only" aria-label=${t(one.paused ? "schedules.resumeOne" : "schedules.pauseOne", { name: one.name })} title=${t(one.paused ? "schedules.resume" : "schedules.pause")}
      onClick=${() => pauseSchedule(one)}><${Icon} name=${one.paused ? "play" : "pause"} /></button>
    ${one.kind !== "hook" && html`<button type="button" class="ghost icon-only" aria-label=${t("schedules.runOne", { name: one.name })} title=${t("schedules.run")} onClick=${() => runNow(one)}><${Icon} name="again" /></button>`}
  </li>`;
}

/** When it runs, in words. @param {Schedule} one */
function timed({ kind, timing, zone }) {
  if (kind === "hook") return t("schedules.webhook");
  if (kind === "interval") return t("schedules.every", { time: spelled(Number(timing)) });
  const daily = kind === "cron" && /^(\d+) (\d+) \* \* (\*|1-5|6,0|[0-6])$/.exec(timing);
  if (daily) return html`${t("schedules.at", { day: dayOf(daily[3]), time: clock(Number(daily[2]), Number(daily[1])) })} · ${zone}`;
  return html`<code dir="ltr">${kind === "once" ? timing.slice(0, 16).replace("T", " ") : timing}</code> · ${zone}`;
}

/** The days of a cron expression in words. @param {string} field */
function dayOf(field) {
  if (field === "*") return t("schedules.days.every");
  if (field === "1-5") return t("schedules.days.weekdays");
  if (field === "6,0") return t("schedules.days.weekends");
  const day = new Date(Date.UTC(2023, 0, 1 + Number(field))); // a week that begins with Sunday
  return new Intl.DateTimeFormat(locale(), { weekday: "long", timeZone: "UTC" }).format(day);
}

/** A time of day. @param {number} hour @param {number} minute */
const clock = (hour, minute) => new Intl.DateTimeFormat(locale(), { hour: "numeric", minute: "2-digit", timeZone: "UTC" }).format(Date.UTC(2023, 0, 1, hour, minute));

/** Seconds in the largest unit that leaves nothing over. @param {number} seconds */
function spelled(seconds) {
  const [unit, size] = UNITS.find(([, each]) => seconds % each === 0) ?? UNITS[UNITS.length - 1];
  return new Intl.NumberFormat(locale(), { style: "unit", unit, unitDisplay: "long" }).format(seconds / size);
}

/** @param {{id: string}} props */
function One({ id }) {
  const ticks = useTicks(scheduleNews);
  const { data, failed } = useLoad(() => api.schedule(id), [id, ticks]);
  if (failed) return html`<${Bar} title=${t("schedules.title")} /><div class="page"><div class="page-inner"><div class="notice">
    <${Icon} name="info" /><p class="grow">${t(failed.status === 404 ? "schedules.missing" : "settings.loadFailed")}</p><a class="button" href="/schedules">${t("schedules.all")}</a></div></div></div>`;
  if (!data) return html`<${Bar} title=${t("schedules.title")} />`;
  return html`<${Editor} schedule=${data} initial=${fieldsOf(data)} />`;
}

/** What can be changed of it, `when` as it is written. @param {Schedule} one */
function fieldsOf({ name, prompt, when, zone, workspace, continued, catch_up, jitter, parallel, targets, tools, signature }) {
  return { name, prompt, when, zone, workspace, continued, catch_up, jitter, parallel, targets, tools, signature, secret: "" };
}
