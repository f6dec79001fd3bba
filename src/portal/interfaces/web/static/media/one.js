// One of the things that were made: itself, what it was asked for, its settings; and to make it again, vary or change it.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/media.js";
import { Confirm } from "../dialogs.js";
import { Line, Player } from "../files/card.js";
import { moment } from "../format.js";
import { Icon } from "../icons.js";
import { Bar } from "../layout.js";
import { useLoad } from "../load.js";
import { navigate } from "../router.js";
import { attempt } from "../state/organise.js";
import { t } from "../strings.js";
import { Going } from "./going.js";

/** @typedef {import("../types.js").MediaJob} MediaJob */

const LIKE = 0.5; // how freely a picture is varied
const HIDDEN = new Set(["prompt", "seed"]);

/** @param {{id: string}} props */
export function One({ id }) {
  const { data: job, failed, reload } = useLoad(() => api.mediaJob(id), [id]);
  return html`<${Bar} title=${job ? job.prompt.slice(0, 60) || t(`media.kind.${job.kind}`) : t("media.title")}>
      <a class="ghost" href="/gallery"><${Icon} name="left" />${t("media.title")}</a><//>
    <div class="page"><div class="page-inner is-wide">
      ${failed && html`<p class="notice" role="alert"><${Icon} name="info" />${t("media.missing")}</p>`}
      ${job && html`<${Made} key=${`${job.id} ${job.status}`} job=${job} onEnd=${reload} />`}
    </div></div>`;
}

/** @param {{job: MediaJob, onEnd: () => void}} props */
function Made({ job, onEnd }) {
  const going = job.status === "running" || job.status === "queued";
  return html`<div class="media-one">
    <div class="column media-files">
      ${going && html`<${Going} job=${job} onEnd=${onEnd} />`}
      ${job.error && html`<p class="notice is-bad" role="alert"><${Icon} name="warn" /><span class="grow" dir="auto">${job.error}</span></p>`}
      ${job.files.map((file) => html`<figure class="media-player" key=${file.file_id}>
        <${Player} file=${file} label=${job.prompt || file.filename} /><figcaption><${Line} file=${file} /></figcaption></figure>`)}
    </div>
    <div class="column"><${About} job=${job} /><${Actions} job=${job} going=${going} /></div>
  </div>`;
}

/** @param {{job: MediaJob}} props */
function About({ job }) {
  /** @type {[string, any][]} */
  const rows = [[t("media.workflow"), job.workflow], ...(job.values.seed === undefined ? [] : [/** @type {[string, any]} */ ([t("media.seed"), job.values.seed])]),
    ...Object.entries(job.values).filter(([name, value]) => !HIDDEN.has(name) && !(name === "count" && value === 1)), [t("media.made"), moment(job.created_at)]];
  return html`<section class="column" aria-labelledby="media-about"><h2 id="media-about">${t("media.asked")}</h2>
    <p class="media-prompt" dir="auto">${job.prompt || t("media.noWords")}</p>
    <dl class="media-facts small">${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd dir="auto">${String(value)}</dd></div>`)}</dl></section>`;
}

/** @param {{job: MediaJob, going: boolean}} props */
function Actions({ job, going }) {
  const [open, setOpen] = useState(/** @type {""|"edit"|"delete"} */ (""));
  const image = job.kind === "image" && job.files.length > 0;
  if (going) {
    return html`<p><button type="button" class="button" onClick=${() => attempt(() => api.cancelMedia(job.id))}><${Icon} name="stop" />${t("media.stop")}</button></p>`;
  }
  return html`<section class="column" aria-label=${t("media.actions")}><div class="row wrap">
      <button type="button" class="button" onClick=${() => order({ ...same(job) })}><${Icon} name="again" />${t("media.again")}</button>
      ${image && html`<button type="button" class="button" onClick=${() => order(varied(job))}><${Icon} name="image" />${t("media.vary")}</button>`}
      <button type="button" class="button" aria-expanded=${open === "edit"} onClick=${() => setOpen(open === "edit" ? "" : "edit")}><${Icon} name="edit" />${t("media.edit")}</button>
      <button type="button" class="button" onClick=${() => setOpen("delete")}><${Icon} name="trash" />${t("common.delete")}</button></div>
    ${open === "edit" && html`<${Edit} job=${job} image=${image} />`}
    ${open === "delete" && html`<${Confirm} title=${t("media.delete")} text=${t("media.deleteText")} action=${t("common.delete")} danger onClose=${() => setOpen("")} onYes=${() => forget(job)} />`}</section>`;
}

/** @param {{job: MediaJob, image: boolean}} props */
function Edit({ job, image }) {
  const [words, setWords] = useState(job.prompt);
  const [from, setFrom] = useState(image);
  const send = (/** @type {Event} */ event) => {
    event.preventDefault();
    const values = { ...same(job).values, prompt: words };
    order(from ? { kind: "image", values: { prompt: words }, pictures: { image: job.files[0].file_id } } : { ...same(job), values });
  };
  return html`<form class="form" onSubmit=${send}>
    <label class="field"><span>${t("media.words")}</span><textarea rows="4" value=${words} onInput=${(/** @type {any} */ event) => setWords(event.target.value)} required></textarea></label>
    ${image && html`<label class="check"><input type="checkbox" checked=${from} onChange=${() => setFrom(!from)} />${t("media.fromThis")}</label>`}
    <p><button class="button primary">${t("media.make")}</button></p></form>`;
}

/** The same order, with a seed by chance. @param {MediaJob} job */
function same(job) {
  const { seed, ...values } = job.values;
  return { kind: job.kind, workflow: job.workflow, values, pictures: job.pictures };
}

/** @param {MediaJob} job */
const varied = (job) => ({ kind: "image", values: { prompt: job.prompt, strength: LIKE }, pictures: { image: job.files[0].file_id } });

/** @param {Parameters<typeof api.orderMedia>[0]} wanted */
async function order(wanted) {
  let id = "";
  if (await attempt(async () => void (id = (await api.orderMedia(wanted)).data[0].id))) navigate(`/gallery/${encodeURIComponent(id)}`);
}

/** @param {MediaJob} job */
async function forget(job) {
  if (await attempt(() => api.deleteMedia(job.id))) navigate("/gallery");
}
