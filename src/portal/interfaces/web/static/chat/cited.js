// An answer that names sources: each number is a link to the passage, with a card on hover and focus.
import { html } from "htm/preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { inspect } from "../state.js";
import { documentPath } from "../knowledge/paths.js";
import { lazy } from "../lazy.js";
import { citedSources, withMarks } from "../markdown/citations.js";
import { t } from "../strings.js";
import { Markdown } from "./markdown.js";

/** @typedef {import("../markdown/citations.js").Cited} Cited */

const Card = lazy(async () => (await import("./card.js")).Card);
const PATIENCE = 150; // milliseconds of hovering before a card opens, and of absence before it closes

/** @param {Cited} one */
export const sourceLabel = ({ number, title, page }) =>
  page === null ? t("cite.source", { n: number, title }) : t("cite.sourcePage", { n: number, title, page });

/** @param {Cited} one */
export const openSource = ({ file, passage, title, page }) => inspect({ kind: "passage", id: passage, file, passage, title, page });

/** @param {{text: string, annotations: Record<string, any>[]}} props */
export function CitedText({ text, annotations }) {
  const { sources, marked } = useMemo(() => ({ sources: citedSources(annotations), marked: withMarks(text, annotations) }), [text, annotations]);
  const of = (/** @type {number} */ number) => sources.find((each) => each.number === number);
  const linkOf = (/** @type {number} */ number) => {
    const one = of(number);
    return one ? { href: documentPath({ file_id: one.file }, one.passage), label: sourceLabel(one) } : { href: "#", label: String(number) };
  };
  const { card, ...listeners } = useCard(of);
  /** @param {MouseEvent} event */
  const clicked = (event) => {
    const link = linkAt(event.target);
    const one = link && of(Number(link.dataset.number));
    if (!one || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    openSource(one);
  };
  return html`<div onClick=${clicked} ...${listeners}><${Markdown} text=${marked} done=${true} linkOf=${linkOf} />${card}</div>`;
}

/** @param {EventTarget|null} target @returns {HTMLElement|null} */
const linkAt = (target) => (target instanceof Element ? target.closest("a.cite") : null);

/** @param {(number: number) => Cited|undefined} of */
function useCard(of) {
  const [anchor, setAnchor] = useState(/** @type {HTMLElement|null} */ (null));
  const timer = useRef(/** @type {ReturnType<typeof setTimeout>|undefined} */ (undefined));
  const soon = (/** @type {HTMLElement|null} */ next) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setAnchor(next), PATIENCE);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    if (!anchor) return;
    const escape = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      setAnchor(null);
    };
    addEventListener("keydown", escape, true);
    return () => removeEventListener("keydown", escape, true);
  }, [anchor]);
  const one = anchor ? of(Number(anchor.dataset.number)) : undefined;
  return {
    onPointerOver: (/** @type {PointerEvent} */ event) => event.pointerType === "mouse" && soon(linkAt(event.target) ?? (inCard(event.target) ? anchor : null)),
    onPointerLeave: () => soon(null),
    onFocusIn: (/** @type {FocusEvent} */ event) => soon(linkAt(event.target)),
    onFocusOut: () => soon(null),
    card: anchor && one && html`<${Card} key=${one.number} anchor=${anchor} one=${one} />`,
  };
}

/** @param {EventTarget|null} target */
const inCard = (target) => target instanceof Element && target.closest(".cite-card") !== null;
