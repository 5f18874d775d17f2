import { parseEndpoint } from "../../core/address.ts";
import type { WorkerDoors } from "../../core/method.ts";
import { MostWanted } from "../../core/most-wanted.ts";
import { FileBook, type FileEntry } from "./file-book.ts";
import { type FileHost, fileHost, probeFile } from "./file-probe.ts";
import type { Goal, Goals } from "./goals.ts";
import { linkFields, type Mirror, metalink } from "./metalink.ts";
import { type Listed, mirrorLines, mirrorPage } from "./mirror-list.ts";
import type { MirrorOptions } from "./mirror-options.ts";

const ALL: ReadonlySet<number> = new Set();
/** Mirrors that a Metalink or a list names. */
const MOST_LISTED = 100;

/** A service whose backends hold the same files: who has which, and the ways to tell clients. */
export class Mirrors {
  readonly options: MirrorOptions;
  readonly book: FileBook;
  /** Since the last report. */
  readonly wanted: MostWanted;
  /** Where clients go while nobody has a file; null: nowhere. */
  readonly fallback: Goal | null;
  private readonly goals: Goals;
  private readonly reference: FileHost | null;

  constructor(goals: Goals, options: MirrorOptions, doors: WorkerDoors) {
    this.goals = goals;
    this.options = options;
    this.fallback = options.fallback === undefined ? null : goals.goalTo(options.fallback.replace(/\/$/, ""));
    this.reference = this.referenceHost();
    this.wanted = new MostWanted(options.statistics);
    const { timeout } = options;
    const prober = {
      hosts: () => this.hosts(),
      ask: (id: number, path: string) => {
        const backend = goals.balancer.backend(id);
        return backend === undefined
          ? Promise.resolve("silent" as const)
          : probeFile(this.hostOf(backend), path, timeout);
      },
      askReference: (path: string) => (this.reference === null ? null : probeFile(this.reference, path, timeout)),
    };
    this.book = new FileBook(options, prober, () => doors.now());
  }

  private hostOf(backend: { address: string; port: number | null; url?: string | undefined }): FileHost {
    const { options, service } = this.goals;
    return fileHost(backend, options.scheme, service.listen[0]!.port);
  }

  private referenceHost(): FileHost | null {
    const { reference } = this.options;
    if (reference === undefined) return null;
    const { address, url } = typeof reference === "string" ? { address: reference, url: undefined } : reference;
    return this.hostOf({ ...parseEndpoint(address, true)!, url });
  }

  /** Those that may get clients, and those that drain: they may come back. */
  private hosts(): number[] {
    const { eligible, backends } = this.goals.balancer.snapshot;
    return [...new Set([...eligible, ...backends.filter(({ state }) => state === "draining").map(({ id }) => id)])];
  }

  /** What is known of a file; asks anew, beside the traffic, when a backend may get clients that was not asked. */
  look(path: string): FileEntry | null {
    const entry = this.book.look(path);
    if (entry !== null) this.made(entry);
    return entry;
  }

  private made(entry: FileEntry): NonNullable<FileEntry["made"]> {
    const { snapshot } = this.goals.balancer;
    if (entry.made?.generation === snapshot.generation) return entry.made;
    const without = new Set(snapshot.backends.map(({ id }) => id).filter((id) => !entry.holders.includes(id)));
    entry.made = { generation: snapshot.generation, without, links: new Map() };
    if (snapshot.eligible.some((id) => !entry.findings.has(id)) && entry.version !== null)
      this.book.recheck(entry.path);
    return entry.made;
  }

  /** Backends that a client for this file must not be sent to. */
  without(entry: FileEntry): ReadonlySet<number> {
    return this.made(entry).without;
  }

  /** Link fields for clients of a place; made once for each place while nothing changes. */
  links(entry: FileEntry, place: number, key: number): string {
    if (this.options.links === 0) return "";
    const { links } = this.made(entry);
    const known = links.get(place);
    if (known !== undefined) return known;
    const digest = entry.version?.digest ?? null;
    // Of the file, not of this answer: that is what RFC 6249 6 has it for.
    const digestField = digest === null ? "" : `Digest: SHA-256=${digest}\r\n`;
    const made = linkFields(this.mirrors(entry, place, key, this.options.links), entry.path) + digestField;
    links.set(place, made);
    return made;
  }

  private mirrors(entry: FileEntry, place: number, key: number, most: number): Mirror[] {
    return this.goals.near.order(place, key, this.without(entry), most).map((id) => this.mirror(id, entry.path));
  }

  private mirror(id: number, path: string): Mirror {
    return { url: `${this.goals.goal(id)?.base ?? ""}${path}`, country: this.goals.countryAt(id) };
  }

  /** A Metalink of the file; null: nobody has it. */
  metalink(entry: FileEntry, place: number, key: number): string | null {
    const mirrors = this.mirrors(entry, place, key, MOST_LISTED);
    return entry.version === null || mirrors.length === 0 ? null : metalink(entry.path, entry.version, mirrors);
  }

  /** The list for programs, or the page for people. */
  list(entry: FileEntry, place: number, key: number, page: boolean): string {
    if (!page) return mirrorLines(this.mirrors(entry, place, key, MOST_LISTED));
    const { balancer, near } = this.goals;
    const first = near.order(place, key, ALL, MOST_LISTED);
    const rest = balancer.snapshot.backends.map(({ id }) => id).filter((id) => !first.includes(id));
    const listed = [...first, ...rest].slice(0, MOST_LISTED).map((id): Listed => {
      const { state, tags } = balancer.backend(id)!;
      const finding = entry.findings.get(id);
      return { ...this.mirror(id, entry.path), state, tags, finding, holds: entry.holders.includes(id) };
    });
    listed.sort((a, b) => Number(b.holds) - Number(a.holds));
    return mirrorPage(entry.path, entry.version, listed);
  }
}
