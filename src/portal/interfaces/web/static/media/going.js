// How far a job is: a bar, what it is at, and what it looks like so far.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api/media.js";
import { useLoad } from "../load.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";

/** @typedef {import("../types.js").MediaJob} MediaJob */

/** Of a tool call that is under way: one job after the other. Once it has `told` of itself they are stored. @param {{call: string, told: boolean}} props */
export function GoingCall({ call, told }) {
  const { data, reload } = useLoad(() => api.mediaJobs({ call_id: call, limit: 10 }), [call, told]);
  const job = data?.data.find(({ status }) => status === "running") ?? data?.data.findLast(({ status }) => status === "queued");
  return job ? html`<${Going} key=${job.id} job=${job} onEnd=${reload} />` : null;
}

/** @param {{job: MediaJob, onEnd?: (job: MediaJob) => void}} props */
export function Going({ job, onEnd }) {
  useSheet("media");
  const [now, setNow] = useState(/** @type {MediaJob & {previews?: number}} */ (job));
  useEffect(() => {
    const left = new AbortController();
    follow(job.id, left.signal, setNow).then((last) => last && onEnd?.(last));
    return () => left.abort();
  }, [job.id]);
  const percent = Math.round(now.progress * 100);
  return html`<div class="media-going">
    ${(now.previews ?? 0) > 0 && html`<img class="media-preview" src=${api.mediaPreview(job.id, now.previews ?? 0)} alt=${t("media.preview")} />`}
    <progress max="100" value=${percent} aria-label=${t("media.progress", { percent })}></progress>
    <p class="small muted" role="status">${now.status === "queued" ? t("media.queued") : t("media.percent", { percent })}${now.detail && ` · ${now.detail}`}</p>
  </div>`;
}

/** The job as it ended; null where nobody watches any more. @param {string} id @param {AbortSignal} signal @param {(job: any) => void} tell */
async function follow(id, signal, tell) {
  let last = null;
  try {
    for await (const job of api.mediaEvents(id, signal)) {
      last = job;
      tell(job);
    }
  } catch {
    return signal.aborted ? null : api.mediaJob(id).catch(() => null); // the connection broke: how it stands is asked once more
  }
  return last;
}
