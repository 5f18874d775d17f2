export interface Entry {
  path: string;
  /** Type and permissions as in `stat`. */
  mode: number;
  bytes?: Uint8Array;
}

export const FOLDER = 0o040755;
export const PROGRAM = 0o100755;

const hex = (value: number): string => value.toString(16).padStart(8, "0");
const padded = (bytes: Uint8Array): Uint8Array[] => [bytes, new Uint8Array(-bytes.length & 3)];

/** A file system for a kernel to begin with: an archive in the "newc" format (initramfs, buffer-format.rst of Linux). */
export function cpio(entries: readonly Entry[]): Uint8Array {
  const parts = [...entries, { path: "TRAILER!!!", mode: 0, bytes: undefined }].flatMap(({ path, mode, bytes }, i) => {
    const size = bytes?.length ?? 0;
    const name = new TextEncoder().encode(`${path}\0`);
    // inode, mode, uid, gid, links, mtime, size, device (2), its own device (2), bytes of the name, no sum
    const fields = [i + 1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.length, 0].map(hex).join("");
    const head = new TextEncoder().encode(`070701${fields}`);
    return [...padded(Buffer.concat([head, name])), ...padded(bytes ?? new Uint8Array())];
  });
  return Buffer.concat(parts);
}
