// Numbers and names for people, in the page's language.
import { locale } from "./strings.js";

/** @param {number} value  bytes, in decimal units as model servers show them */
export function bytes(value) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(value, 1)) / 3)));
  const scaled = value / 1000 ** step;
  return new Intl.NumberFormat(locale(), {
    style: "unit", unit: units[step], unitDisplay: step ? "short" : "long", maximumFractionDigits: scaled < 10 && step ? 1 : 0,
  }).format(scaled);
}

/** @param {number} value  such as 8030261248 weights: "8B" */
export const count = (value) => new Intl.NumberFormat(locale(), { notation: "compact", maximumFractionDigits: 1 }).format(value);

/** @param {number} value */
export const number = (value) => new Intl.NumberFormat(locale()).format(value);

/** @param {number} tokens  a context window: 32768 is "32k", as is 32000 */
export const context = (tokens) => (tokens < 1000 ? String(tokens) : `${Math.round(tokens / (tokens % 1000 ? 1024 : 1000))}k`);

/** @param {number} milliseconds */
export function duration(milliseconds) {
  const seconds = milliseconds / 1000;
  const unit = (/** @type {number} */ value, /** @type {string} */ name, digits = 0) =>
    new Intl.NumberFormat(locale(), { style: "unit", unit: name, unitDisplay: "narrow", maximumFractionDigits: digits }).format(value);
  if (seconds < 60) return unit(seconds, "second", seconds < 10 ? 1 : 0);
  return `${unit(Math.floor(seconds / 60), "minute")} ${unit(Math.round(seconds % 60), "second")}`;
}

/** @param {number} seconds  Unix time: the time today, the date before */
export function moment(seconds) {
  const date = new Date(seconds * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(locale(), today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/** @param {number} seconds  Unix time: its day */
export const day = (seconds) => new Intl.DateTimeFormat(locale(), { dateStyle: "medium" }).format(new Date(seconds * 1000));
