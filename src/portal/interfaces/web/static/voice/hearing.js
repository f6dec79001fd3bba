// Tells from how loud it is whether somebody speaks. Pure: levels and times come in.

/** @typedef {{floor: number, loud: number, quiet: number, spoke: boolean}} Ear */
/** Milliseconds of voice after which somebody speaks, of silence after which they are done, and of nobody speaking. */
export const BEGINS = 180;
export const ENDS = 900;
export const IDLES = 3000;
const LEAST = 0.012;
const RATIO = 3;

/** @returns {Ear} */
export const newEar = () => ({ floor: 0.004, loud: 0, quiet: 0, spoke: false });

/**
 * What a level (root mean square, 0 to 1) that lasted `ms` adds. `event` is "begin" once somebody speaks, "end" once
 * they have stopped, "idle" each time nobody has spoken for a while, else null. The floor follows the room's own noise, quickly down and slowly up.
 * @param {Ear} ear @param {number} level @param {number} ms @param {number} [bar]  louder than usual by so much, against an echo
 * @returns {{ear: Ear, event: "begin"|"end"|"idle"|null}}
 */
export function hear(ear, level, ms, bar = 1) {
  const voice = level > Math.max(LEAST, ear.floor * RATIO) * bar;
  const floor = voice ? ear.floor * 1.001 : ear.floor + (level - ear.floor) * (level < ear.floor ? 0.3 : 0.05);
  const loud = voice ? ear.loud + ms : Math.max(0, ear.loud - ms);
  const quiet = voice ? 0 : ear.quiet + ms;
  if (!ear.spoke && loud >= BEGINS) return { ear: { floor, loud, quiet: 0, spoke: true }, event: "begin" };
  if (ear.spoke && quiet >= ENDS) return { ear: { floor, loud: 0, quiet: 0, spoke: false }, event: "end" };
  const idle = !ear.spoke && loud === 0 && quiet >= IDLES;
  return { ear: { floor, loud: Math.min(loud, BEGINS), quiet: idle ? 0 : quiet, spoke: ear.spoke }, event: idle ? "idle" : null };
}
