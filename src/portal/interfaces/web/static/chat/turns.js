// The list of turns: follows the answer while the reader is at the bottom, loads older pages at the top without
// jumping, and keeps only what is near the window in the document; the rest is held open by its measured height.
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { arrivals, chat, loadOlder, olderTurns, turns } from "../state.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";
import { isRunning } from "../turns.js";
import { Speech } from "./speech.js";
import { Turn } from "./turn.js";

const NEAR = 1500; // pixels beyond the window that stay drawn
const OLDER = 1200; // distance from the top at which the next page is fetched

export function Turns() {
  const scroller = useRef(/** @type {HTMLDivElement|null} */ (null));
  const list = turns.value;
  const first = list[0]?.value.key;
  const hold = useHold(scroller, first);
  const { away, jump } = useFollow(scroller, list);
  const observe = useNearness(scroller);
  useEffect(() => fetchOlder(scroller.current));
  useLayoutEffect(hold, [first]);
  return html`<div class="turns-frame">
    <div ref=${scroller} class="turns" tabindex="0" role="region" aria-label=${t("chat.label")}
      aria-busy=${chat.value.status === "loading" ? "true" : "false"} onScroll=${() => fetchOlder(scroller.current)}>
      <div class="turns-inner">
        ${chat.value.temporary && html`<p class="notice small"><${Icon} name="ghost" /><span class="grow">${t("chat.temporaryOn")}</span></p>`}
        ${olderTurns.value && html`<p class="muted small older">${t("chat.older")}</p>`}
        ${list.map((turn, index) => html`<${Row} key=${turn.value.key} turn=${turn} observe=${observe} last=${index === list.length - 1} />`)}
      </div>
    </div>
    <${Speech} />
    ${away && html`<button type="button" class="button jump" onClick=${jump}><${Icon} name="arrow" />${t("chat.latest")}</button>`}
  </div>`;
}

/** @param {HTMLElement|null} scroller */
function fetchOlder(scroller) {
  if (scroller && olderTurns.value && scroller.scrollTop < OLDER) loadOlder();
}

/** When turns are put in above, what is being read stays where it is. @param {{current: HTMLElement|null}} scroller @param {string|undefined} first */
function useHold(scroller, first) {
  const before = useRef(/** @type {{first: string|undefined, fromBottom: number}} */ ({ first, fromBottom: 0 }));
  const element = scroller.current;
  if (element && before.current.first !== first) {
    element.style.overflowAnchor = "none";
    before.current.fromBottom = element.scrollHeight - element.scrollTop;
  }
  return () => {
    const moved = scroller.current;
    if (!moved || before.current.first === first) return;
    const had = before.current.first;
    before.current.first = first;
    if (had !== undefined) moved.scrollTop = moved.scrollHeight - before.current.fromBottom;
    requestAnimationFrame(() => (moved.style.overflowAnchor = ""));
  };
}

/** Stay at the bottom while the reader is there. @param {{current: HTMLElement|null}} scroller @param {any[]} list */
function useFollow(scroller, list) {
  const pinned = useRef(true);
  const [away, setAway] = useState(false);
  const newest = list.at(-1)?.peek().key;
  const jump = () => {
    pinned.current = true;
    setAway(false);
    toBottom(scroller.current);
  };
  useLayoutEffect(jump, [arrivals.value]);
  useEffect(keepFocus, [newest]);
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    let top = element.scrollTop;
    const scrolled = () => {
      const distance = element.scrollHeight - element.clientHeight - element.scrollTop;
      if (distance < 4) pinned.current = true;
      else if (element.scrollTop < top - 1) pinned.current = false;
      top = element.scrollTop;
      setAway(!pinned.current && distance > 160);
    };
    const grown = new ResizeObserver(() => (pinned.current ? toBottom(element) : scrolled()));
    element.addEventListener("scroll", scrolled, { passive: true });
    grown.observe(element);
    if (element.firstElementChild) grown.observe(element.firstElementChild);
    return () => {
      element.removeEventListener("scroll", scrolled);
      grown.disconnect();
    };
  }, []);
  return { away, jump };
}

/** When what had the focus went with its turn, writing goes on. */
function keepFocus() {
  if (document.activeElement === document.body && matchMedia("(pointer: fine)").matches) {
    document.getElementById("composer")?.focus({ preventScroll: true });
  }
}

/** @param {HTMLElement|null} element */
function toBottom(element) {
  if (element) element.scrollTop = element.scrollHeight;
}

/** @param {{current: HTMLElement|null}} scroller @returns {(element: Element, tell: (near: boolean) => void) => () => void} */
function useNearness(scroller) {
  return useMemo(() => {
    /** @type {Map<Element, (near: boolean) => void>} */
    const watched = new Map();
    /** @type {IntersectionObserver|null} */
    let observer = null;
    return (element, tell) => {
      observer ??= new IntersectionObserver(
        (entries) => entries.forEach((entry) => watched.get(entry.target)?.(entry.isIntersecting)),
        { root: scroller.current, rootMargin: `${NEAR}px 0px` },
      );
      watched.set(element, tell);
      observer.observe(element);
      return () => {
        watched.delete(element);
        observer?.unobserve(element);
      };
    };
  }, []);
}

/** @param {{turn: import("../state/chat.js").TurnSignal, observe: ReturnType<typeof useNearness>, last: boolean}} props */
function Row({ turn, observe, last }) {
  const element = useRef(/** @type {HTMLDivElement|null} */ (null));
  const [near, setNear] = useState(true);
  useEffect(() => {
    const row = element.current;
    if (!row) return;
    return observe(row, (isNear) => {
      const keep = isNear || isRunning(turn.peek()) || row.contains(document.activeElement);
      if (!keep) row.style.height = `${row.offsetHeight}px`;
      setNear(keep);
    });
  }, []);
  useLayoutEffect(() => {
    if (near && element.current) element.current.style.height = ""; // only now that its content is back
  }, [near]);
  return html`<div ref=${element} class="turn-row">${near && html`<${Turn} turn=${turn} last=${last} />`}</div>`;
}
