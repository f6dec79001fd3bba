// Which part of a long list is near the screen. Rows and headings have fixed heights, so places are arithmetic.
import { useCallback, useEffect, useLayoutEffect, useState } from "preact/hooks";

/** @typedef {import("./groups.js").Group} Group */
/** @typedef {Group & {top: number, height: number}} Placed */
/** @typedef {{row: number, head: number}} Heights  pixels; `head` is 0 for groups without a heading */

const OVERSCAN = 12;

/** @param {Group[]} groups @param {Heights} heights @returns {{placed: Placed[], height: number}} */
export function placeGroups(groups, { row, head }) {
  let top = 0;
  const placed = groups.map((group) => {
    const height = head + (group.to - group.from) * row;
    top += height;
    return { ...group, top: top - height, height };
  });
  return { placed, height: top };
}

/** The top of a row. @param {Placed[]} placed @param {number} index @param {Heights} heights */
export function topOf(placed, index, { row, head }) {
  const group = placed.find((each) => index >= each.from && index < each.to);
  return group ? group.top + head + (index - group.from) * row : 0;
}

/**
 * The rows of one group that are near the screen; null when none is.
 * @param {Placed} group @param {{top: number, bottom: number}} view @param {Heights} heights
 */
export function near(group, view, { row, head }) {
  const count = group.to - group.from;
  const first = Math.max(0, Math.floor((view.top - group.top - head) / row) - OVERSCAN);
  const last = Math.min(count, Math.ceil((view.bottom - group.top - head) / row) + OVERSCAN);
  return first < last ? { first: group.from + first, last: group.from + last, before: first * row } : null;
}

/**
 * The scroller's visible stretch, measured from the top of `list` inside it.
 * @param {{current: HTMLElement|null}} scroller @param {{current: HTMLElement|null}} list
 */
export function useView(scroller, list) {
  const [view, setView] = useState({ top: 0, bottom: 1200 });
  const measure = useCallback(() => {
    if (!scroller.current || !list.current) return;
    const top = scroller.current.scrollTop - list.current.offsetTop;
    const bottom = top + scroller.current.clientHeight;
    setView((old) => (Math.abs(old.top - top) < 1 && Math.abs(old.bottom - bottom) < 1 ? old : { top, bottom }));
  }, []);
  useLayoutEffect(measure);
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, []);
  return { view, measure };
}
