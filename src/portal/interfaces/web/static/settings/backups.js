// Backups: where they go, what became of the last one, and making one now.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { backups, makeBackup } from "../api/backups.js";
import { attempt, toast } from "../state.js";
import { bytes, number } from "../format.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { locale, t } from "../strings.js";

export function Backups() {
  const { data, failed, reload } = useLoad(backups, []);
  const [making, setMaking] = useState(false);
  const make = async () => {
    setMaking(true);
    try {
      await attempt(async () => {
        await makeBackup();
        toast(t("backups.made"));
      });
    } finally {
      setMaking(false);
      await reload();
    }
  };
  const busy = making || Boolean(data?.running);
  return html`<p class="muted">${t("backups.about")} <a href="/manual/data#make-a-backup">${t("approvals.more")}</a></p>
    ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
    ${data && html`<${Last} last=${data.last} />
      <p>${data.scheduled ? t("backups.scheduled", { n: data.every, keep: data.keep, folder: data.folder }) : t("backups.unscheduled", { folder: data.folder })}
        ${data.next_at && html` ${t("backups.next", { time: when(data.next_at) })}`}</p>
      <p class="muted">${t(data.sealed ? "backups.sealed" : "backups.open")}</p>
      <p><button type="button" class="button" disabled=${busy} aria-busy=${busy} onClick=${make}>${t(busy ? "backups.making" : "backups.make")}</button></p>
      <${Shelf} all=${data.data} />`}`;
}

/** @param {string} time */
const when = (time) => new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(time));

/** @param {{last: import("../api/backups.js").Outcome|null}} props */
function Last({ last }) {
  if (!last) return html`<p role="status">${t("backups.never")}</p>`;
  const time = when(last.at);
  if (last.error) return html`<p class="bad" role="status">${t("backups.failed", { time, why: last.error })}</p>`;
  return html`<p role="status">${t("backups.last", { time, size: bytes(last.size), n: number(Math.max(1, Math.round(last.seconds))) })}</p>`;
}

/** @param {{all: import("../api/backups.js").Backup[]}} props */
function Shelf({ all }) {
  if (!all.length) return null;
  return html`<ul class="lines" aria-label=${t("backups.list")}>${all.map((one) => html`<li key=${one.name} class="line"><${Icon} name="file" />
    <div class="grow"><div class="clip" dir="ltr">${one.name}</div>
      ${one.problem
        ? html`<div class="small bad">${one.problem}</div>`
        : html`<div class="small muted">${one.created_at && when(one.created_at)} · ${bytes(one.size)} · Portal ${one.version}${one.sealed ? ` · ${t("backups.locked")}` : ""}</div>`}</div></li>`)}</ul>`;
}
