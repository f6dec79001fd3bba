// One's files: what they take, finding some, having or deleting them.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { fileContent, removeFile } from "../api.js";
import * as api from "../api/files.js";
import { attempt, toast } from "../state.js";
import { bytes } from "../format.js";
import { Confirm } from "../dialogs.js";
import { Icon } from "../icons.js";
import { useLoad, useNear, usePages } from "../load.js";
import { useSheet } from "../sheets.js";
import { locale, t } from "../strings.js";
import { Look } from "../files/card.js";
import { kindOf } from "../files/kinds.js";

/** @typedef {import("../api/files.js").StoredFile} StoredFile */
/** @type {[string, () => string, (file: StoredFile) => boolean][]} */
const KINDS = [
  ["all", () => t("files.all"), () => true],
  ["documents", () => t("files.documents"), (file) => ["pdf", "document", "text"].includes(kindOf(file.filename, file.content_type))],
  ["pictures", () => t("files.pictures"), (file) => kindOf(file.filename, file.content_type) === "image"],
  ["media", () => t("files.media"), (file) => ["audio", "video"].includes(kindOf(file.filename, file.content_type))],
];

export function Files() {
  useSheet("files");
  const [wanted, setWanted] = useState("");
  const [kind, setKind] = useState("all");
  const { data, next, loaded, failed, more, change } = usePages(api.files, []);
  const used = useLoad(api.usage, []);
  const near = useNear(more);
  const fits = KINDS.find(([id]) => id === kind)?.[2] ?? (() => true);
  const shown = data.filter((file) => fits(file) && file.filename.toLowerCase().includes(wanted.trim().toLowerCase()));
  /** @param {StoredFile} file */
  const gone = (file) => {
    change((old) => old.filter((each) => each.id !== file.id));
    used.reload();
  };
  return html`<p class="muted">${t("files.about")} <a href="/manual/files">${t("approvals.more")}</a></p>
    ${used.data && html`<${Used} usage=${used.data} />`}
    <div class="row wrap files-filter">
      <input class="input grow" type="search" aria-label=${t("files.find")} placeholder=${t("files.find")} value=${wanted} onInput=${(/** @type {any} */ event) => setWanted(event.target.value)} />
      <select class="input" aria-label=${t("files.kind")} onChange=${(/** @type {any} */ event) => setKind(event.target.value)}>${KINDS.map(([id, label]) => html`<option key=${id} value=${id} selected=${id === kind}>${label()}</option>`)}</select></div>
    ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
    ${loaded && !shown.length && !next && html`<p class="muted">${t(data.length ? "files.noneSuch" : "files.none")}</p>`}
    <ul class="lines files-list" aria-label=${t("files.title")}>${shown.map((file) => html`<${One} key=${file.id} file=${file} onGone=${gone} />`)}</ul>
    <div ref=${near}></div>`;
}

/** @param {{usage: {files: number, bytes: number, quota: number}}} props */
function Used({ usage }) {
  const { files, bytes: taken, quota } = usage;
  const words = t("files.used", { n: files, size: bytes(taken) });
  if (!quota) return html`<p>${words}</p>`;
  return html`<label class="files-used"><span>${words} ${t("files.of", { size: bytes(quota) })}</span><progress max=${quota} value=${Math.min(taken, quota)}></progress></label>`;
}

/** @param {{file: StoredFile, onGone: (file: StoredFile) => void}} props */
function One({ file, onGone }) {
  const { id, filename, content_type, bytes: size, created_at, expires_at } = file;
  const [asking, setAsking] = useState(false);
  const date = new Intl.DateTimeFormat(locale(), { dateStyle: "medium" });
  const picture = kindOf(filename, content_type) === "image" && content_type !== "image/svg+xml";
  const remove = () => attempt(async () => {
    await removeFile(id);
    onGone(file);
    toast(t("files.deleted", { name: filename }));
  });
  return html`<li class="line" aria-label=${filename}>
    ${picture ? html`<img class="files-picture" src=${api.thumbnail(id)} alt="" loading="lazy" />` : html`<${Icon} name="file" />`}
    <span class="grow"><a class="clip" dir="auto" href=${fileContent(id)} download=${filename}>${filename}</a>
      <span class="small muted">${bytes(size)} · ${date.format(created_at * 1000)}${expires_at ? ` · ${t("files.until", { date: date.format(expires_at * 1000) })}` : ""}</span></span>
    <${Look} file=${{ file_id: id, filename, content_type }} />
    <button type="button" class="ghost icon-only" aria-label=${t("files.delete", { name: filename })} title=${t("files.delete", { name: filename })} onClick=${() => setAsking(true)}><${Icon} name="trash" /></button>
    ${asking && html`<${Confirm} title=${t("files.delete", { name: filename })} text=${t("files.deleteText")} action=${t("files.deleteShort")} danger=${true} onYes=${remove} onClose=${() => setAsking(false)} />`}
  </li>`;
}
