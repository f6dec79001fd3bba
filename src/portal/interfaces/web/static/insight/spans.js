// Where the time of a turn went, worked out from its spans: how deep each is, and which took it. Pure.

/** @typedef {{id: number, parent: number|null, kind: string, name: string, start: number, ms: number, error?: string, attributes?: Record<string, any>}} Span */

/** How many are around each, by place. @param {Span[]} spans  in the order in which they began @returns {number[]} */
export function depths(spans) {
  /** @type {number[]} */
  const found = [];
  for (const one of spans) found.push(one.parent === null || found[one.parent] === undefined ? 0 : found[one.parent] + 1);
  return found;
}

/** The milliseconds of each in which nothing within it went on, by place. @param {Span[]} spans @returns {number[]} */
export function own(spans) {
  return spans.map((one, place) => {
    const end = one.start + one.ms;
    const inside = spans.filter((other) => other.parent === place).sort((a, b) => a.start - b.start);
    let [busy, until] = [0, one.start];
    for (const child of inside) {
      const begins = Math.max(child.start, until);
      const ends = Math.min(child.start + child.ms, end);
      if (ends > begins) [busy, until] = [busy + ends - begins, ends];
    }
    return Math.max(0, one.ms - busy);
  });
}

/** The step that itself took most, and how long; the turn as a whole for what went on between its steps. Where a call waited its turn for most of that, that is it. @param {Span[]} spans @returns {{one: Span, ms: number, waited: boolean}|null} */
export function slowest(spans) {
  const times = own(spans);
  const place = times.reduce((best, time, at) => (best < 0 || time > times[best] ? at : best), -1);
  if (place < 0) return null;
  const wait = Number(spans[place].attributes?.waited_ms ?? 0);
  const waited = wait > times[place] / 2;
  return { one: spans[place], ms: waited ? wait : times[place], waited };
}

/** Where a bar begins and how long it is, in hundredths of the whole. @param {Span} one @param {number} whole @returns {[number, number]} */
export function bar(one, whole) {
  const begins = Math.min(100, Math.max(0, (one.start / Math.max(whole, 1)) * 100));
  return [begins, Math.min(100 - begins, Math.max(0.7, (one.ms / Math.max(whole, 1)) * 100))];
}
