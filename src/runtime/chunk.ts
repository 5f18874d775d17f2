/** Below this size the collector's way of freeing costs less than ours; bytes. */
const LARGE = 8 * 1024;

/**
 * Gives the memory of a chunk that a socket's `data` brought back at once, instead of whenever the collector runs: the
 * next read then finds pages that are there already, and no heap of spent chunks builds up. The chunk is empty after
 * it, and so is every view of it: only for bytes that nobody holds. Small chunks, and views of a part of something, are
 * left alone.
 */
export function letGo(chunk: Buffer): void {
  if (chunk.length < LARGE || chunk.byteLength !== chunk.buffer.byteLength) return;
  (chunk.buffer as ArrayBuffer).transfer(0);
}
