// Modal dialogs on the browser's own <dialog>: it traps focus, closes on Esc and gives focus back.
import { html } from "htm/preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { t } from "./strings.js";
import { Icon } from "./icons.js";

/**
 * @param {{
 *   label: string, onClose: () => void, class?: string, children?: any, dismissable?: boolean,
 * }} props  shown for as long as it is rendered; a click beside it closes it
 */
export function Modal({ label, onClose, class: className = "dialog", children, dismissable = true }) {
  const element = useRef(/** @type {HTMLDialogElement|null} */ (null));
  useLayoutEffect(() => { // at once: keys that are typed meanwhile would go to what is behind it
    const dialog = element.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      if (dialog?.open) dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  /** @param {MouseEvent} event */
  const beside = (event) => {
    const box = element.current?.getBoundingClientRect();
    if (!dismissable || event.target !== element.current || !box) return;
    const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) onClose();
  };
  /** @param {Event} event */
  const cancelled = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${element} class=${className} aria-label=${label} onCancel=${cancelled} onMouseDown=${beside}>
    ${children}
  </dialog>`;
}

/** A dialog's or pane's heading with its close button. @param {{title: string, onClose: () => void, label?: string}} props */
export function PaneHead({ title, onClose, label }) {
  return html`<div class="pane-head">
    <h2 class="grow clip">${title}</h2>
    <button type="button" class="ghost icon-only" aria-label=${label ?? t("common.close")} onClick=${onClose}>
      <${Icon} name="close" />
    </button>
  </div>`;
}

/**
 * A question with two answers.
 * @param {{title: string, text: string, action: string, danger?: boolean, onYes: () => void, onClose: () => void}} props
 */
export function Confirm({ title, text, action, danger = false, onYes, onClose }) {
  return html`<${Modal} label=${title} onClose=${onClose}>
    <div class="dialog-body">
      <h2>${title}</h2>
      <p>${text}</p>
      <div class="dialog-actions">
        <button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button>
        <button type="button" class=${danger ? "button danger" : "button primary"}
          onClick=${() => { onClose(); onYes(); }}>${action}</button>
      </div>
    </div>
  <//>`;
}
