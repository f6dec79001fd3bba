// Cutting the sorted list into groups by day. Pure.

/** @typedef {import("../types.js").Conversation} Conversation */
/** @typedef {{key: string, label: string, from: number, to: number}} Group  entries `from` up to, not including, `to` */

/**
 * @param {Conversation[]} list  pinned first, then newest first
 * @param {{now: Date, locale: string, words: {pinned: string}}} options
 * @returns {Group[]}
 */
export function groupByDay(list, { now, locale, words }) {
  /** @type {Group[]} */
  const groups = [];
  let index = 0;
  while (index < list.length && list[index].pinned) index++;
  if (index) groups.push({ key: "pinned", label: words.pinned, from: 0, to: index });
  while (index < list.length) {
    const { key, label, since } = period(list[index].updated_at, now, locale);
    const from = index;
    while (index < list.length && list[index].updated_at >= since) index++;
    groups.push({ key, label, from, to: Math.max(index, from + 1) });
    index = Math.max(index, from + 1);
  }
  return groups;
}

/**
 * The period a time belongs to: a day of the last week, else a month.
 * @param {number} seconds @param {Date} now @param {string} locale
 */
function period(seconds, now, locale) {
  const today = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  for (let back = 0; back < 7; back++) {
    const day = new Date(today.getFullYear(), today.getMonth(), today.getDate() - back);
    if (seconds >= day.getTime() / 1000) return { key: `day-${back}`, label: dayName(day, back, locale), since: day.getTime() / 1000 };
  }
  const date = new Date(seconds * 1000);
  const month = new Date(date.getFullYear(), date.getMonth(), 1);
  const year = date.getFullYear() === now.getFullYear() ? {} : { year: /** @type {const} */ ("numeric") };
  const label = new Intl.DateTimeFormat(locale, { month: "long", ...year }).format(date);
  return { key: `month-${month.getTime()}`, label: capital(label, locale), since: month.getTime() / 1000 };
}

/** @param {Date} day @param {number} back @param {string} locale */
function dayName(day, back, locale) {
  if (back > 1) return capital(new Intl.DateTimeFormat(locale, { weekday: "long" }).format(day), locale);
  return capital(new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(-back, "day"), locale);
}

/** @param {string} text @param {string} locale */
const capital = (text, locale) => text.charAt(0).toLocaleUpperCase(locale) + text.slice(1);

/**
 * `text` cut at the words of `query`, so that those can be marked.
 * @param {string} text @param {string} query
 * @returns {{text: string, hit: boolean}[]}
 */
export function cutAtHits(text, query) {
  const words = query.trim().split(/\s+/).filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (!words.length) return [{ text, hit: false }];
  return text.split(new RegExp(`(${words.join("|")})`, "giu")).map((part, index) => ({ text: part, hit: index % 2 === 1 })).filter((part) => part.text);
}
