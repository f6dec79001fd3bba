// A button that opens a menu: arrow keys, Home/End, first letters, Esc and focus return.
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/**
 * @param {{
 *   label: string, button: any, class?: string, children: (close: () => void) => any, align?: "start"|"end",
 * }} props  `children` draws the entries: buttons or links with role="menuitem"
 */
export function Menu({ label, button, class: className = "ghost icon-only", children, align = "start" }) {
  const [open, setOpen] = useState(false);
  const anchor = useRef(/** @type {HTMLButtonElement|null} */ (null));
  const close = () => {
    setOpen(false);
    anchor.current?.focus();
  };
  return html`<span class="menu-anchor">
    <button ref=${anchor} type="button" class=${className} aria-label=${label} aria-haspopup="menu"
      aria-expanded=${open ? "true" : "false"} onClick=${() => setOpen(!open)}>${button}</button>
    ${open && html`<${Entries} anchor=${anchor} label=${label} align=${align} close=${close} leave=${() => setOpen(false)}>
      ${children(close)}
    <//>`}
  </span>`;
}

/** @param {{anchor: {current: HTMLElement|null}, label: string, align: string, close: () => void, leave: () => void, children?: any}} props */
function Entries({ anchor, label, align, close, leave, children }) {
  const element = useRef(/** @type {HTMLDivElement|null} */ (null));
  useLayoutEffect(() => {
    if (!element.current || !anchor.current) return;
    element.current.showPopover(); // in the top layer nothing clips it
    place(element.current, anchor.current, align);
    items(element.current)[0]?.focus();
  }, []);
  useEffect(() => closeOutside([element, anchor], leave), []);
  return html`<div ref=${element} class="menu" popover="manual" role="menu" aria-label=${label}
    onKeyDown=${(/** @type {KeyboardEvent} */ event) => steer(event, element.current, close, leave)}>${children}</div>`;
}

/** @param {Element} menu @returns {HTMLElement[]} */
const items = (menu) => [...menu.querySelectorAll(/** @type {"button"} */ ('[role^="menuitem"]:not(:disabled)'))];

/** @param {KeyboardEvent} event @param {Element|null} menu @param {() => void} close @param {() => void} leave */
function steer(event, menu, close, leave) {
  if (!menu) return;
  const all = items(menu);
  const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  /** @type {Record<string, number>} */
  const moves = { ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length, Home: 0, End: all.length - 1 };
  if (event.key === "Escape") close();
  else if (event.key === "Tab") return leave();
  else if (event.key in moves) all[moves[event.key]]?.focus();
  else if (event.key.length === 1 && /\S/.test(event.key)) {
    const wanted = event.key.toLowerCase();
    [...all.slice(at + 1), ...all.slice(0, at + 1)].find((each) => each.textContent?.trim().toLowerCase().startsWith(wanted))?.focus();
    return;
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

/** Put a fixed element under its anchor, or above where there is more room. @param {HTMLElement} element @param {HTMLElement} anchor @param {string} [align] */
export function place(element, anchor, align = "start") {
  const at = anchor.getBoundingClientRect();
  const below = innerHeight - at.bottom - 16;
  const above = at.top - 16;
  const wanted = element.scrollHeight;
  const upward = below < Math.min(wanted, 320) && above > below;
  element.style.maxHeight = `${Math.max(120, upward ? above : below)}px`;
  const rtl = document.documentElement.dir === "rtl";
  const left = (align === "end") !== rtl ? at.right - element.offsetWidth : at.left;
  element.style.left = `${Math.max(8, Math.min(left, innerWidth - element.offsetWidth - 8))}px`;
  if (upward) element.style.bottom = `${innerHeight - at.top + 6}px`;
  else element.style.top = `${at.bottom + 6}px`;
}

/** @param {{current: Element|null}[]} inside @param {() => void} leave @returns {() => void} */
export function closeOutside(inside, leave) {
  const check = (/** @type {Event} */ event) => {
    if (!inside.some((ref) => ref.current?.contains(/** @type {Node} */ (event.target)))) leave();
  };
  document.addEventListener("pointerdown", check, true);
  addEventListener("resize", leave);
  return () => {
    document.removeEventListener("pointerdown", check, true);
    removeEventListener("resize", leave);
  };
}
