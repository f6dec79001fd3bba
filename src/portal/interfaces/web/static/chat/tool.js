// A tool call that Portal runs: one line that says what and how it stands; arguments, output and files when opened.
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { approvalOf, clock, pendingApprovals, watchClock } from "../state.js";
import { duration } from "../format.js";
import { Icon } from "../icons.js";
import { lazy } from "../lazy.js";
import { t } from "../strings.js";
import { argumentsOf, callState, gist } from "../turns.js";
import { ApprovalCard } from "./approval.js";
import { Arguments } from "./arguments.js";

/** @typedef {import("../types.js").Item} Item */
/** @typedef {{file_id: string, filename: string, content_type: string, size: number}} MadeFile */

const MEDIA = new Set(["images", "video", "music"]);
const GoingCall = lazy(async () => (await import("../media/going.js")).GoingCall);
const FileCard = lazy(async () => (await import("../files/card.js")).FileCard);
const LONGEST = 20_000; // characters of an output that are shown here; the rest is in its file

/** @param {{item: Item, turn: import("../types.js").Turn}} props */
export function RunCall({ item, turn }) {
  const state = callState(item, turn.input);
  const about = gist(item.arguments);
  const told = state === "running" ? html`<${Running} going=${turn.tools[item.id ?? ""]} />` : words(state, item);
  if (approvalOf(item.approval_request_id ?? "")?.question) return null; // the question shows its answer
  return html`<div class="call">
    <details class=${`fold tool is-${state}`}>
      <summary>${state === "running" ? html`<span class="pulse" aria-hidden="true"></span>` : html`<${Icon} name=${ICONS[state]} />`}
        <span class="call-name">${item.name}</span>${about && html`<span class="call-about clip" dir="auto">${about}</span>`}
        ${told && html`<span class="call-state">${told}</span>`}<${Icon} name="chevron" /></summary>
      <div class="fold-body column"><${Inside} item=${item} /></div>
    </details>
    ${state === "running" && pendingApprovals.value.filter((each) => each.call_id === item.id).map((each) => html`<${ApprovalCard} key=${each.id} approval=${each} />`)}
    ${state === "running" && MEDIA.has(item.server_label) && turn.tools[item.id ?? ""] && html`<${GoingCall} call=${item.id} told=${Boolean(turn.tools[item.id ?? ""].detail)} />`}
    <${Files} files=${item["portal:files"] ?? []} />
  </div>`;
}

/** @type {Record<string, string>} */
const ICONS = { done: "tool", failed: "warn", denied: "stop", unknown: "warn" };

/** @param {string} state @param {Item} item */
function words(state, item) {
  if (state === "failed") return t("call.failed");
  if (state === "denied") return t("call.denied");
  if (state === "unknown") return t("call.unknown");
  const ms = item["portal:milliseconds"];
  return ms >= 100 ? duration(ms) : "";
}

/** How long it has been at work, and what it says of that. @param {{going?: {since: number, detail: string}}} props */
function Running({ going }) {
  useEffect(() => watchClock(), []);
  const seconds = going ? Math.floor((clock.value - going.since) / 1000) : 0;
  return html`<span role="status">${going?.detail || t("call.running")}</span>${seconds >= 3 && html`<span aria-hidden="true"> ${t("progress.seconds", { n: seconds })}</span>`}`;
}

/** @param {{item: Item}} props */
function Inside({ item }) {
  const values = argumentsOf(item.arguments);
  return html`<p class="label">${t("turn.arguments")}</p>
    ${values ? html`<${Arguments} values=${values} />` : html`<pre class="call-text">${item.arguments}</pre>`}
    ${item.error && html`<p class="label">${t("call.error")}</p><pre class="call-text is-bad" tabindex="0" dir="auto">${item.error}</pre>`}
    ${item.output && html`<p class="label">${t("call.output")}</p><pre class="call-text" tabindex="0" dir="auto">${item.output.slice(0, LONGEST)}${item.output.length > LONGEST ? "…" : ""}</pre>`}
    ${item["portal:untrusted"] && html`<p class="small call-note"><${Icon} name="info" />${t("call.untrusted")}</p>`}
    <p class="small">${t("call.of", { toolset: item.server_label })}</p>`;
}

/** @param {{files: MadeFile[]}} props */
function Files({ files }) {
  if (!files.length) return null;
  return html`<ul class="plain row wrap call-files">${files.map((file) => html`<li key=${file.file_id}><${FileCard} file=${file} /></li>`)}</ul>`;
}
