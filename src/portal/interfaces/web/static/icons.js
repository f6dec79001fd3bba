// The icons: 24-unit strokes of our own, drawn inline in the text's colour. Decorative; the control carries the name.
import { html } from "htm/preact";

/** @type {Record<string, string>} */
const PATHS = {
  portal: "M5 20.5V12a7 7 0 0 1 14 0v8.5M9.5 20.5V12.2a2.5 2.5 0 0 1 5 0v8.3z",
  plus: "M12 5v14M5 12h14",
  menu: "M4 7h16M4 12h16M4 17h10",
  panel: "M4 5h16v14H4zM9.5 5v14",
  close: "M6 6l12 12M18 6 6 18",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7.5 7.5h9v9h-9z",
  attach: "M19 11.5l-7.4 7.3a4.6 4.6 0 0 1-6.5-6.5l7.6-7.5a3 3 0 0 1 4.3 4.3l-7.5 7.4a1.5 1.5 0 0 1-2.1-2.1l6.8-6.7",
  mic: "M12 14.5a3 3 0 0 0 3-3v-5a3 3 0 0 0-6 0v5a3 3 0 0 0 3 3zM6 11.5a6 6 0 0 0 12 0M12 17.5v3",
  sound: "M4.5 9.5v5H8l4.500 4V5.500L8 9.500zM16 9a4.500 4.500 0 0 1 0 6",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  check: "M5 12.5l4.5 4.5L19 7.5",
  edit: "M5 19l.9-4L16.5 4.4a1.5 1.5 0 0 1 2.1 0l1 1a1.5 1.5 0 0 1 0 2.1L9 18.1zM14.5 6.5l3 3",
  again: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9M19.5 4v5h-5",
  up: "M7.5 11v8.5H4.5V11zM7.5 11l4-7c1.5 0 2.3 1 2 2.6L13 9.5h5a1.8 1.8 0 0 1 1.8 2.2l-1.3 6a2.3 2.3 0 0 1-2.2 1.8H7.5",
  down: "M16.5 13V4.5h3V13zM16.5 13l-4 7c-1.5 0-2.3-1-2-2.6l.500-2.9H6a1.8 1.8 0 0 1-1.8-2.2l1.3-6a2.3 2.3 0 0 1 2.2-1.8h8.8",
  left: "M14.5 6l-6 6 6 6",
  right: "M9.5 6l6 6-6 6",
  chevron: "M7 10l5 5 5-5",
  arrow: "M12 5v14M6 13l6 6 6-6",
  more: "M5.5 13a1 1 0 1 0 0-2 1 1 0 0 0 0 2zM12 13a1 1 0 1 0 0-2 1 1 0 0 0 0 2zM18.5 13a1 1 0 1 0 0-2 1 1 0 0 0 0 2z",
  file: "M6 3.5h8l4.5 4.5v12.5H6zM13.5 3.5v5h5",
  folder: "M3.5 6h6l2 2.5h9V19h-17z",
  image: "M4 5h16v14H4zM4 16l5-5 4.5 4.5 2.5-2.5 4 4M15 9.2h.01",
  route: "M6 18.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM18 9.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM8 16.5h6a3 3 0 0 0 0-6h-4a3 3 0 0 1 0-3h6",
  code: "M8.5 7.5 4 12l4.5 4.5M15.5 7.5 20 12l-4.5 4.5",
  warn: "M12 4 2.8 19.5h18.4zM12 10v4.5M12 17.2h.01",
  info: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 11v5M12 8h.01",
  chat: "M4.5 5h15v11.5h-9L6 20v-3.500H4.500z",
  search: "M11 17.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM16 16l4.5 4.5",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 9.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4zM9 19.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4z",
  model: "M12 3.5 20 8v8l-8 4.5L4 16V8zM12 12l8-4M12 12v8.5M12 12 4 8",
  workspace: "M4 8h16v11H4zM9 8V5h6v3M4 13h16M12 12v2.5",
  book: "M5 4.5h9.5A3.5 3.5 0 0 1 18 8v11.5H8A3 3 0 0 1 5 16.5zM5 16.5a3 3 0 0 1 3-3h10",
  library: "M4.500 5h4v14.500h-4zM8.500 5h4v14.500h-4zM13.300 6.300l3.800-1 3.400 13.200-3.800 1z",
  memory: "M12 20.500a8.500 8.500 0 1 0-8.100-6M3.500 20v-5.500H9M12 7.500V12l3 2",
  chart: "M5 20V10M12 20V4M19 20v-6",
  key: "M8 15.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM11.5 12H20v3M16.5 12v2.5",
  pin: "M9 4h6l-1 6 3.5 3.5h-11L10 10zM12 13.5V20",
  trash: "M4.5 7h15M9.5 7V4.5h5V7M6.5 7l1 12.5h9l1-12.5M10.2 10.5v5.5M13.8 10.5v5.5",
  ghost: "M5 19.5V11a7 7 0 0 1 14 0v8.5l-2.3-1.8-2.4 1.8-2.3-1.8-2.3 1.8-2.4-1.8zM9.5 11h.01M14.5 11h.01",
  bulb: "M9.5 18h5M10.5 21h3M12 3.5a6 6 0 0 0-3.5 10.9c.6.5 1 1.1 1 1.9h5c0-.8.4-1.4 1-1.9A6 6 0 0 0 12 3.5z",
  tool: "M14.5 6.5a4 4 0 0 1 5-1.5l-2.6 2.6 1.5 1.5L21 6.5a4 4 0 0 1-5.5 4.5L8.5 18a2 2 0 0 1-2.8-2.8l7-7a4 4 0 0 1 1.8-1.7z",
  shield: "M12 3.500 19 6v5.500c0 4.200-2.900 7.400-7 9-4.100-1.600-7-4.800-7-9V6zM9 12l2.200 2.200L15.200 10",
  list: "M9.5 7H20M9.5 12H20M9.5 17H20M4.500 7h.01M4.500 12h.01M4.500 17h.01",
  clock: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 7v5.2l3.3 2",
  pause: "M9 6.5v11M15 6.5v11",
  play: "M8.5 5.5v13l10-6.5z",
  circle: "M12 19a7 7 0 1 0 0-14 7 7 0 0 0 0 14z",
  minus: "M7 12h10",
  ask: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM9.700 9.800a2.400 2.400 0 1 1 3.500 2.100c-.8.400-1.200.9-1.200 1.800M12 16.600h.01",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  external: "M13.5 4.5h6v6M19 5l-8.5 8.5M17 14v5.5H4.5V7H10",
  keyboard: "M3 6.5h18v11H3zM7 10h.01M10.3 10h.01M13.7 10h.01M17 10h.01M8 14h8",
};

const FILLED = new Set(["stop", "more"]);

/**
 * @param {{name: string}} props  one of the names above
 */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" fill=${FILLED.has(name) ? "currentColor" : "none"} stroke="currentColor" stroke-width="1.7"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
}
