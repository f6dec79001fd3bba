// How this Portal is now: calls and queues, model servers, chat platforms, tool servers, and the process itself.
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import * as api from "../api/insight.js";
import { backends } from "../state.js";
import { channelNews } from "../state/news.js";
import { bytes, duration, moment, number } from "../format.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { t } from "../strings.js";

/** @typedef {import("../api/insight.js").Activity} Activity @typedef {import("../api/insight.js").Server} Server */

const EVERY = 5000; // milliseconds between two looks at what changes without an event

export function Now() {
  const { data, failed, reload } = useLoad(api.activity, [backends.value, channelNews.value]);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || reload(), EVERY);
    return () => clearInterval(timer);
  }, [reload]);
  if (!data) return failed ? html`<p class="bad">${failed.status === 403 ? failed.message : t("settings.loadFailed")}</p>` : null;
  return html`<p class="small muted" role="status">${failed ? t("insight.stale", { when: moment(data.at) }) : t("insight.asOf", { when: moment(data.at) })}</p>
    <${Tiles} seen=${data} />
    <${Servers} servers=${data.servers} />
    <${Links} title=${t("insight.channels")} id="channels" rows=${data.channels.map(channelLine)} />
    <${Links} title=${t("insight.toolServers")} id="tools" rows=${data.tool_servers.map(toolLine)} />`;
}

/** @param {{seen: Activity}} props */
function Tiles({ seen }) {
  const { calls, servers, waiting, database, loop, process, listening } = seen;
  const queued = servers.reduce((sum, one) => sum + one.queued, 0);
  /** @type {[string, string, string][]} */
  const tiles = [
    [t("insight.calls"), number(calls), queued ? t("insight.queued", { n: queued }) : t("insight.noQueue")],
    [t("insight.approvals"), waiting ? number(waiting.approvals) : "–", t("insight.approvalsNote")],
    [t("insight.documents"), waiting ? number(waiting.documents) : "–", t("insight.documentsNote")],
    [t("insight.media"), waiting ? number(waiting.media_running + waiting.media_queued) : "–", t("insight.mediaNote", { n: waiting?.media_queued ?? 0 })],
    [t("insight.loop"), thousandths(loop.p99), t("insight.loopNote", { worst: thousandths(loop.worst) })],
    [t("insight.database"), database.answers ? thousandths(database.batches.median) : t("insight.silent"), t("insight.databaseNote", { kind: database.kind === "postgres" ? "PostgreSQL" : "SQLite", worst: thousandths(database.batches.worst) })],
    [t("insight.memory"), bytes(process.memory), t("insight.memoryNote", { threads: process.threads, files: process.files ?? "–" })],
    [t("insight.disk"), process.disk_free === null ? "–" : bytes(process.disk_free), process.disk_size ? t("insight.diskNote", { size: bytes(process.disk_size) }) : ""],
    [t("insight.people"), waiting ? number(waiting.sessions) : "–", t("insight.peopleNote", { n: listening })],
    [t("insight.up"), duration(Math.max(0, seen.at - process.started) * 1000), t("insight.upNote", { cpu: duration(process.cpu * 1000) })],
  ];
  return html`<dl class="tiles">${tiles.map(([name, value, note]) => html`<div key=${name} class="tile"><dt>${name}</dt><dd><strong>${value}</strong> <span class="small muted">${note}</span></dd></div>`)}</dl>`;
}

/** @param {number|null} seconds */
const thousandths = (seconds) => (seconds === null ? "–" : t("insight.milliseconds", { n: Math.round(seconds * 10_000) / 10 }));

/** @param {{servers: Server[]}} props */
function Servers({ servers }) {
  return html`<section class="column" aria-labelledby="insight-servers"><h3 id="insight-servers">${t("insight.servers")}</h3>
    ${servers.length ? html`<ul class="cards">${servers.map((one) => html`<${ServerCard} key=${one.name} server=${one} />`)}</ul>` : html`<p class="muted">${t("insight.noServers")}</p>`}</section>`;
}

/** @param {{server: Server}} props */
function ServerCard({ server }) {
  const { name, url, status, error, models, running, queued, max_concurrency: most, across_servers: together, running_elsewhere: elsewhere = 0, breakers, held } = server;
  const loaded = Object.entries(held);
  return html`<li class="card"><div class="card-head"><${State} good=${status === "up"} words=${t(`models.${status}`)} />
      <h4 class="grow clip" dir="auto">${name}</h4><span class="small muted">${t("models.count", { n: models })}</span></div>
    <p class="small muted mono" dir="ltr">${url || t("models.inside")}</p>
    <p class="small">${most ? t("insight.runningOf", { n: running + elsewhere, most }) : t("insight.running", { n: running })}${together ? ` (${t("insight.elsewhere", { n: elsewhere })})` : ""} · ${t("insight.queued", { n: queued })}</p>
    ${error && html`<p class="small" dir="auto">${error}</p>`}
    ${breakers.map((one) => html`<p key=${one.model} class="small" dir="auto"><${State} good=${one.state === "closed"} words=${t(`insight.breaker.${one.state}`)} /> ${one.model}</p>`)}
    ${loaded.map(([model, size]) => html`<p key=${model} class="small" dir="auto">${t("insight.inMemory", { model, size: bytes(size) })}</p>`)}</li>`;
}

/** A state in words, with a mark that does not rely on colour. @param {{good: boolean, words: string}} props */
function State({ good, words }) {
  return html`<span class=${good ? "status is-up" : "status is-down"}><${Icon} name=${good ? "check" : "warn"} />${words}</span>`;
}

/** @typedef {{name: string, good: boolean, words: string, detail: string}} Line */
/** @param {import("../api/insight.js").Channel} one @returns {Line} */
const channelLine = ({ name, state, detail, unsent }) => ({ name, good: state === "up", words: state, detail: [detail, unsent && t("insight.unsent", { n: unsent })].filter(Boolean).join(" · ") });
/** @param {import("../api/insight.js").Tools} one @returns {Line} */
const toolLine = ({ name, title, status, detail }) => ({ name: title || name, good: !["failed", "down", "wrong"].includes(status), words: status, detail: detail ?? "" });

/** @param {{title: string, id: string, rows: Line[]}} props */
function Links({ title, id, rows }) {
  if (!rows.length) return null;
  return html`<section class="column" aria-labelledby=${`insight-${id}`}><h3 id=${`insight-${id}`}>${title}</h3>
    <ul class="lines">${rows.map((one) => html`<li key=${one.name} class="line"><div class="grow"><strong dir="auto">${one.name}</strong>${one.detail && html`<p class="small muted" dir="auto">${one.detail}</p>`}</div>
      <${State} good=${one.good} words=${one.words} /></li>`)}</ul></section>`;
}
