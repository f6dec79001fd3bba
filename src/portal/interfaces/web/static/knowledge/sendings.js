// Files on their way into a collection: how far all are, those under way, and those that failed.
import { html } from "htm/preact";
import { forgetSendings, sendAgain, sendings, underWay } from "../state/knowledge.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

const MOST_SHOWN = 20;

/** @param {{collection: string}} props */
export function Sendings({ collection }) {
  const mine = sendings.value.filter((each) => each.collection === collection);
  if (!mine.length) return null;
  const failed = mine.filter(({ state }) => state === "failed");
  const going = mine.some(underWay);
  const sent = mine.filter(({ state }) => state === "added" || state === "known").length;
  return html`<div class="card sendings" role="group" aria-label=${t("sending.label")}>
    ${going && html`<div class="row"><p class="grow" role="status">${t("sending.going", { n: sent, all: mine.length - failed.length })}</p>
        <button type="button" class="ghost" onClick=${() => forgetSendings((each) => each.collection === collection && underWay(each))}>${t("composer.stop")}</button></div>
      <progress class="meter" max="100" value=${share(mine)} aria-label=${t("sending.label")}></progress>
      <ul class="plain">${mine.filter(({ state }) => state === "sending").map((each) => html`<li key=${each.key} class="row small muted">
        <span class="grow clip" dir="auto">${each.name}</span><span>${t("attach.progress", { percent: percentOf(each) })}</span></li>`)}</ul>`}
    ${failed.length > 0 && html`<div class="row wrap"><p class="grow bad" role="status">${t("sending.failed", { n: failed.length })}</p>
        <button type="button" class="button" onClick=${() => sendAgain()}>${t("sending.again")}</button>
        <button type="button" class="ghost" onClick=${() => forgetSendings((each) => each.collection === collection && each.state === "failed")}>${t("common.dismiss")}</button></div>
      <ul class="lines">${failed.slice(0, MOST_SHOWN).map((each) => html`<li key=${each.key} class="line"><div class="grow past"><span class="clip" dir="auto">${each.name}</span>
        <span class="small bad" dir="auto">${each.error}</span></div>
        <button type="button" class="ghost icon-only" aria-label=${t("attach.retry", { name: each.name })} onClick=${() => sendAgain(each.key)}><${Icon} name="again" /></button></li>`)}</ul>`}
  </div>`;
}

/** @param {import("../types.js").Sending} each */
const percentOf = ({ sent, file }) => (file.size ? Math.min(100, Math.round((100 * sent) / file.size)) : 100);

/** @param {import("../types.js").Sending[]} all  how much of them is sent, in percent */
function share(all) {
  const wanted = all.filter(({ state }) => state !== "failed");
  const done = wanted.reduce((sum, each) => sum + (each.state === "waiting" ? 0 : percentOf(each)), 0);
  return Math.round(done / Math.max(1, wanted.length));
}
