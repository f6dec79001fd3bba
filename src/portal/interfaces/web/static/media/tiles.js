// A grid of all that was made: only the rows near the screen exist, arrow keys move through all of them.
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { fileContent } from "../api.js";
import { thumbnail } from "../api/files.js";
import { Icon } from "../icons.js";
import { useView } from "../rail/window.js";
import { t } from "../strings.js";

/** @typedef {import("../types.js").MediaJob} MediaJob */

const SIDE = 190; // pixels of a tile, the gap included
const AHEAD = 2; // rows beyond the screen

/** @type {Record<string, string>} */
const ICONS = { image: "image", video: "play", music: "bulb" };

/** @param {{jobs: MediaJob[], more: boolean, onEnd: () => void, scroller: {current: HTMLElement|null}}} props */
export function Tiles({ jobs, more, onEnd, scroller }) {
  const grid = useRef(/** @type {HTMLElement|null} */ (null));
  const columns = useColumns(grid);
  const { view, measure } = useView(scroller, grid);
  const [active, setActive] = useState(0);
  const wanted = useRef(/** @type {number|null} */ (null));
  const rows = Math.ceil(jobs.length / columns);
  const first = Math.max(0, Math.floor(view.top / SIDE) - AHEAD);
  const last = Math.min(rows, Math.ceil(view.bottom / SIDE) + AHEAD);
  useEffect(() => void (more && last >= rows - AHEAD && onEnd()));
  useLayoutEffect(() => {
    if (wanted.current === null) return;
    const found = grid.current?.querySelector(`[data-index="${wanted.current}"]`);
    if (found instanceof HTMLElement) {
      found.focus({ preventScroll: true });
      wanted.current = null;
    }
  });
  const go = (/** @type {number} */ index) => {
    const to = Math.max(0, Math.min(jobs.length - 1, index));
    const element = scroller.current;
    if (element && grid.current) {
      const top = grid.current.offsetTop + Math.floor(to / columns) * SIDE;
      if (top < element.scrollTop) element.scrollTop = top;
      if (top + SIDE > element.scrollTop + element.clientHeight) element.scrollTop = top + SIDE - element.clientHeight;
    }
    wanted.current = to;
    setActive(to);
    measure();
  };
  const steer = (/** @type {KeyboardEvent} */ event) => {
    const step = steps(columns, jobs.length, active)[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    go(step);
  };
  return html`<ul ref=${grid} class="plain media-grid" aria-label=${t("media.title")} style=${{ height: `${rows * SIDE}px`, paddingTop: `${first * SIDE}px`, gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }} onKeyDown=${steer}>
    ${jobs.slice(first * columns, last * columns).map((job, offset) => html`<${Tile} key=${job.id} job=${job} index=${first * columns + offset}
      reachable=${first * columns + offset === Math.min(active, jobs.length - 1)} onFocus=${() => setActive(first * columns + offset)} />`)}
  </ul>`;
}

/** Where each key leads. @param {number} columns @param {number} count @param {number} at @returns {Record<string, number>} */
function steps(columns, count, at) {
  const forward = document.dir === "rtl" ? -1 : 1;
  return { ArrowRight: at + forward, ArrowLeft: at - forward, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0, End: count - 1 };
}

/** How many tiles stand beside each other. @param {{current: HTMLElement|null}} grid */
function useColumns(grid) {
  const [columns, setColumns] = useState(4);
  useLayoutEffect(() => {
    const element = grid.current;
    if (!element) return;
    const measure = () => setColumns(Math.max(1, Math.floor(element.clientWidth / SIDE)));
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);
  return columns;
}

/** @param {{job: MediaJob, index: number, reachable: boolean, onFocus: () => void}} props */
function Tile({ job, index, reachable, onFocus }) {
  const file = job.files[0];
  const [whole, setWhole] = useState(false); // where no small one can be made
  const words = job.prompt || t(`media.kind.${job.kind}`);
  return html`<li><a class="media-tile" href=${`/gallery/${encodeURIComponent(job.id)}`} data-index=${index} tabindex=${reachable ? 0 : -1} onFocus=${onFocus}>
    ${file?.content_type.startsWith("image/") ? html`<img src=${whole ? fileContent(file.file_id) : thumbnail(file.file_id)} alt="" loading="lazy" onError=${() => setWhole(true)} />`
      : html`<span class="media-blank"><${Icon} name=${job.status === "failed" ? "warn" : ICONS[job.kind]} /></span>`}
    <span class="media-words small"><span class="clip" dir="auto">${words}</span>${job.status !== "done" && html`<span class="tag">${t(`media.status.${job.status}`)}</span>`}</span></a></li>`;
}
