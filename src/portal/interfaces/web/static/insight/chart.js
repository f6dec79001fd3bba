// Bars for figures over days: drawn by hand, since it is all that is needed. What they show is in a table as well.
import { html } from "htm/preact";

const HEIGHT = 100, STEP = 10, GAP = 2;

/**
 * @typedef {{label: string, values: number[]}} Point  the values of its stacked parts, lowest first
 * @param {{points: Point[], label: string, most: string, from: string, to: string}} props
 */
export function Bars({ points, label, most, from, to }) {
  const highest = Math.max(1, ...points.map(total));
  return html`<figure class="chart" aria-label=${label}>
    <div class="chart-frame"><span class="chart-most small muted">${most}</span>
      <svg viewBox=${`0 0 ${Math.max(points.length, 1) * STEP} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>${points.map((point, index) => html`<${Bar} key=${point.label} point=${point} at=${index} highest=${highest} />`)}</svg></div>
    <figcaption class="row small muted"><span class="grow">${from}</span><span>${to}</span></figcaption></figure>`;
}

/** @param {{point: Point, at: number, highest: number}} props */
function Bar({ point, at, highest }) {
  let top = HEIGHT;
  return html`<g>${point.values.map((value, part) => {
    const height = (value / highest) * HEIGHT;
    top -= height;
    return height > 0 && html`<rect key=${part} class=${`chart-part is-${part}`} x=${at * STEP + GAP / 2} width=${STEP - GAP} y=${top} height=${height} />`;
  })}<title>${point.label}</title></g>`;
}

/** @param {Point} point */
const total = ({ values }) => values.reduce((sum, value) => sum + value, 0);

/** A part of the whole, as a bar. @param {{value: number, most: number}} props */
export function Share({ value, most }) {
  return html`<svg class="share" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false"><rect class="chart-part is-0" x="0" y="0" height="6" width=${most ? (value / most) * 100 : 0} /></svg>`;
}
