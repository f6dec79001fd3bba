// Cutting one section out of a Markdown page. Pure.

/** A heading's id, as the server cuts the manual: runs of anything but a-z and 0-9 become one hyphen. @param {string} heading */
export const slug = (heading) => heading.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");

/**
 * The section under the heading with this id, its heading included; the whole page when there is none.
 * @param {string} markdown
 * @param {string} id
 */
export function section(markdown, id) {
  const lines = markdown.split("\n");
  let fenced = false;
  let start = -1;
  let level = 0;
  for (const [index, line] of lines.entries()) {
    if (/^\s*(```|~~~)/.test(line)) fenced = !fenced;
    const heading = fenced ? null : /^(#{1,6})\s+(.*?)\s*#*\s*$/.exec(line);
    if (!heading) continue;
    if (start >= 0 && heading[1].length <= level) return lines.slice(start, index).join("\n").trim();
    if (start < 0 && slug(heading[2]) === id) [start, level] = [index, heading[1].length];
  }
  return start >= 0 ? lines.slice(start).join("\n").trim() : markdown;
}
