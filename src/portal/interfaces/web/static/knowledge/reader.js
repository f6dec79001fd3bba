// A document's text, opened at a passage that is marked; more of it comes as one scrolls up or down.
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import * as api from "../api.js";
import * as library from "../api/knowledge.js";
import { Icon } from "../icons.js";
import { useNear } from "../load.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";
import { flow, stretches } from "./flow.js";
import { Leaf } from "./leaf.js";

/** @typedef {import("../types.js").Passage} Passage */
/** @typedef {import("../types.js").KnowledgeDocument} KnowledgeDocument */
/** @typedef {{document: KnowledgeDocument|null, passages: Passage[], first: number, next: number|null, failed: "missing"|"broken"|null, gone: boolean}} Text */

const PAGE = 60;
const BEFORE = 12; // passages read before the one that is looked for
/** @type {Text} */
const NOTHING = { document: null, passages: [], first: 0, next: null, failed: null, gone: false };

/** @param {{file: string, collection?: string|null, passage?: string|null, level?: number, onDocument?: (one: KnowledgeDocument) => void}} props */
export function Reader({ file, collection = null, passage = null, level = 2, onDocument }) {
  useSheet("knowledge");
  const { text, earlier, later } = useText(file, collection, passage);
  const element = useRef(/** @type {HTMLElement|null} */ (null));
  const blocks = useMemo(() => flow(text.passages, passage), [text.passages, passage]);
  useEffect(() => void (text.document && onDocument?.(text.document)), [text.document]);
  const there = blocks.some((block) => block.cited);
  useLayoutEffect(() => {
    const target = there ? element.current?.querySelector(".is-cited") : null;
    if (!(target instanceof HTMLElement)) return;
    target.scrollIntoView({ block: target.offsetHeight > innerHeight / 3 ? "start" : "center" });
    target.focus({ preventScroll: true });
  }, [there, passage]);
  if (text.failed) return html`<p class="notice" role="alert"><${Icon} name="info" /><span class="grow">${t(text.failed === "missing" ? "reader.missing" : "reader.failed")}</span></p>`;
  if (!text.document) return html`<p class="muted small" role="status">${t("common.loading")}</p>`;
  const printed = /\.pdf$/i.test(text.document.filename);
  return html`<article ref=${element} class="reader" aria-label=${text.document.filename}>
    ${text.gone && html`<p class="notice small" role="status"><${Icon} name="info" /><span class="grow">${t("reader.gone")}</span></p>`}
    ${text.first > 0 && html`<${Edge} key=${`first-${text.first}`} label=${t("reader.earlier")} onNear=${earlier} />`}
    ${blocks.map((block) => html`<${Block} key=${block.id} file=${file} printed=${printed} block=${block} level=${level} />`)}
    ${text.next !== null && html`<${Edge} key=${`next-${text.next}`} label=${t("reader.later")} onNear=${later} />`}
  </article>`;
}

/** @param {{file: string, printed: boolean, block: import("./flow.js").Block, level: number}} props  of the headings, below what stands over the text */
function Block({ file, printed, block, level }) {
  const heading = (/** @type {string} */ text, /** @type {number} */ at) => html`<p key=${at} class="reader-heading" role="heading" aria-level=${level} dir="auto">${text}</p>`;
  const text = stretches(block.text).map((part, at) => (part.heading ? heading(part.text, at) : html`<div key=${at} class="reader-text" dir="auto">${part.text}</div>`));
  return html`${block.page !== null && html`<${Leaf} file=${file} page=${block.page} printed=${printed} />`}
    ${block.headings.map(heading)}
    ${block.cited ? html`<mark class="is-cited" tabindex="-1">${text}</mark>` : text}`;
}

/** Where more of the text is; it comes by itself as one gets near. @param {{label: string, onNear: () => void}} props */
function Edge({ label, onNear }) {
  const element = useNear(onNear);
  return html`<p ref=${element} class="reader-edge"><button type="button" class="ghost" onClick=${onNear}>${label}</button></p>`;
}

/** @param {string} file @param {string|null} collection @param {string|null} passage */
function useText(file, collection, passage) {
  const [text, setText] = useState(NOTHING);
  const busy = useRef(false);
  useEffect(() => {
    let left = false;
    setText(NOTHING);
    open(file, collection, passage).then((opened) => left || setText(opened));
    return () => void (left = true);
  }, [file, collection, passage]);
  /** @param {number} first @param {number} limit @param {(more: {passages: Passage[], next: number|null}) => void} take */
  const read = async (first, limit, take) => {
    if (busy.current) return;
    busy.current = true;
    try {
      take(await library.documentText(file, { collection, first, limit }));
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      setText((old) => ({ ...old, failed: "broken" }));
    } finally {
      busy.current = false;
    }
  };
  const earlier = () => {
    const first = Math.max(0, text.first - PAGE);
    read(first, text.first - first, ({ passages }) => setText((old) => ({ ...old, first, passages: [...passages, ...old.passages] })));
  };
  const later = () => {
    if (text.next !== null) read(text.next, PAGE, ({ passages, next }) => setText((old) => ({ ...old, next, passages: [...old.passages, ...passages] })));
  };
  return { text, earlier, later };
}

/** The text around a passage; from its beginning where that passage is not there any more. @param {string} file @param {string|null} collection @param {string|null} passage @returns {Promise<Text>} */
async function open(file, collection, passage) {
  try {
    const at = passage ? await library.passage(passage).catch(missing) : null;
    const first = Math.max(0, (at?.position ?? 0) - BEFORE);
    const { passages, next, ...document } = await library.documentText(file, { collection: at?.document.collection ?? collection, first, limit: PAGE });
    return { document, passages, first, next, failed: null, gone: passage !== null && at === null };
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    return { ...NOTHING, failed: error.status === 404 ? "missing" : "broken" };
  }
}

/** @param {unknown} error @returns {null} of a document that was changed or deleted */
function missing(error) {
  if (error instanceof api.ApiError && error.status === 404) return null;
  throw error;
}
