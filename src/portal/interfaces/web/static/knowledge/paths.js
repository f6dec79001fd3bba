// Addresses of documents and of places in them.

/** Where a document is read, at a passage of it. @param {{file_id: string, collection?: string}} of @param {string} [passage] */
export function documentPath({ file_id, collection }, passage) {
  const query = collection ? `?collection=${encodeURIComponent(collection)}` : "";
  return `/documents/${encodeURIComponent(file_id)}${query}${passage ? `#${encodeURIComponent(passage)}` : ""}`;
}
