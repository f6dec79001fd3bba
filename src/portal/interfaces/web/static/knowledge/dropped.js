// The files in what was dropped or chosen, folders opened, each with its path inside them.

/** @typedef {{file: File, path: string}} Given  `path` is the folder it lies in, "" for none */

/** What programs leave in folders and nobody wants to read. */
const LITTER = /^(?:\..*|~\$.*|thumbs\.db|desktop\.ini|__macosx|__pycache__|node_modules)$/i;

/** @param {DataTransfer} transfer @returns {Promise<{given: Given[], left: number}>} */
export async function droppedFiles(transfer) {
  // the browser empties the list after the first pause, so all of it is taken at once
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const taken = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  return walk(taken.filter((one) => one !== null));
}

/** @param {Iterable<File>} files  of a field; of one that takes folders they know their place */
export function chosenFiles(files) {
  const given = [...files].map((file) => ({ file, path: folderOf(file.webkitRelativePath ?? "") }));
  const wanted = given.filter(({ file, path }) => ![...path.split("/"), file.name].some((name) => LITTER.test(name)));
  return { given: wanted, left: given.length - wanted.length };
}

/** @param {string} path */
const folderOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf("/")));

/** @param {(FileSystemEntry|File)[]} entries @returns {Promise<{given: Given[], left: number}>} */
export async function walk(entries) {
  /** @type {Given[]} */
  const given = [];
  let left = 0;
  for (const entry of entries) {
    if (LITTER.test(entry.name)) left += 1;
    else if (isFolder(entry)) {
      const inside = await walk(await children(entry));
      given.push(...inside.given);
      left += inside.left;
    } else {
      const file = await opened(entry);
      if (file) given.push({ file, path: "fullPath" in entry ? folderOf(entry.fullPath.slice(1)) : "" });
      else left += 1;
    }
  }
  return { given, left };
}

/** @param {FileSystemEntry|File} entry @returns {entry is FileSystemDirectoryEntry} */
const isFolder = (entry) => "isDirectory" in entry && entry.isDirectory;

/** A browser hands out a folder's entries by the hundred. @param {FileSystemDirectoryEntry} folder @returns {Promise<FileSystemEntry[]>} */
async function children(folder) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const all = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) return all.sort((a, b) => a.name.localeCompare(b.name));
    all.push(...some);
  }
}

/** @param {FileSystemEntry|File} entry @returns {Promise<File|null>} null where it went away meanwhile */
function opened(entry) {
  if (entry instanceof File) return Promise.resolve(entry);
  return new Promise((resolve) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, () => resolve(null)));
}
