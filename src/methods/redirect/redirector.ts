import { backendName } from "../../core/backend.ts";
import { dateLine } from "../../protocols/http/date.ts";
import { ascii } from "../../protocols/http/octets.ts";
import { Refused, refusalOf } from "../../protocols/http/refusal.ts";
import { toReply } from "../../protocols/http/reply.ts";
import { Method } from "../../protocols/http/request.ts";
import { Form } from "../../protocols/http/target.ts";
import { put, putAll } from "../../protocols/http/write.ts";
import { Client, Reading } from "../../relay/client.ts";
import { Cell } from "../../relay/service-state.ts";
import { OUT } from "../../runtime/outbox.ts";
import type { FileEntry, Waiter } from "./file-book.ts";
import type { Goal, Goals } from "./goals.ts";
import { isSafePath, leavesFolder } from "./location.ts";
import type { Mirrors } from "./mirrors.ts";
import { type Wanted, wantedOf } from "./wanted.ts";

const NONE: ReadonlySet<number> = new Set();
/** A request body up to this size is read away, so that the connection lives on; bytes. */
const READ_AWAY = 64 * 1024;
/** A file's path that is longer is not asked for and not remembered; octets. */
const LONGEST_PATH = 1024;
const CLOSE = ascii("Connection: close\r\n");
const CRLF = ascii("\r\n");
const SLASH = 47;
/** What an answer was chosen by beside the target. */
const VARY = "Vary: Accept\r\n";
const TYPES = {
  metalink: "application/metalink4+xml",
  list: "text/plain; charset=utf-8",
  page: "text/html; charset=utf-8",
};

/** A client connection whose requests are sent elsewhere. */
export class Redirector extends Client<Goals> implements Waiter {
  private redirected = false;
  /** The backend that the client was sent to; -1: none. */
  private sentTo = -1;
  /** Path and query of the request under way, in its own bytes. */
  private from = 0;
  private to = 0;
  /** The file whose holders are being asked for; null: nobody is waited for. */
  private wanted: Wanted | null = null;
  private waiting = false;
  /** The client's place, for the service it was looked up for; -1: none. */
  private place = -1;
  private placeFor: Goals | null = null;

  protected request(): void {
    const { head } = this.front;
    const service = this.service!;
    const { form, pathStart, pathEnd } = head.target;
    const bytes = this.requestBytes!;
    this.redirected = false;
    this.sentTo = -1;
    this.from = pathStart;
    this.to = pathEnd;
    if (this.placeFor !== service) {
      this.place = service.placeOf(this.address);
      this.placeFor = service;
    }
    const { mirrors } = service;
    if (form === Form.ASTERISK || (mirrors !== null && !isSafePath(bytes, pathStart, pathEnd, true))) {
      this.refuse(refusalOf(Refused.TARGET));
      return;
    }
    // A client that waits for 100 may keep its body back: what follows could be either.
    if (this.bodyLeft < 0 || this.bodyLeft > READ_AWAY || this.expect) this.close = true;
    const reads = head.method === Method.GET || head.method === Method.HEAD;
    if (mirrors !== null && reads && this.bodyLeft === 0) this.lookUp(mirrors);
    else this.anywhere();
  }

  // ---- any backend -------------------------------------------------------------------------------------------------
  /** To a backend, whatever files it has. */
  private anywhere(): void {
    const service = this.service!;
    const id = service.near.pick(this.place, this.key, NONE);
    const goal = id < 0 ? null : service.goal(id);
    if (goal === null) this.fail(503, "SLUICE_NO_BACKEND", "");
    else this.refer(goal, id, "");
  }

  /** Answers with a Location, and goes on to the next request. */
  private refer(goal: Goal, id: number, fields: string): void {
    if (!isSafePath(this.requestBytes!, this.from, this.to, goal.confined)) {
      this.refuse(refusalOf(Refused.TARGET));
      return;
    }
    this.redirect(goal, id, fields);
    this.goOn();
  }

  private goOn(): void {
    if (this.close && this.reading === Reading.BODY) {
      this.hangUp();
      return;
    }
    this.takeBody();
    if (this.reading === Reading.NEXT) this.next();
  }

  private redirect(goal: Goal, id: number, fields: string): void {
    const { cells } = this.service!;
    const bytes = this.requestBytes!;
    this.redirected = true;
    let at = putAll(OUT, 0, goal.prefix);
    if (this.from === this.to || bytes[this.from] !== SLASH) OUT[at++] = SLASH;
    at = putAll(OUT, put(OUT, at, bytes, this.from, this.to), CRLF);
    if (fields !== "") at += OUT.write(fields, at, "latin1");
    at = putAll(OUT, at, dateLine(this.front.wheel.date));
    if (this.close) at = putAll(OUT, at, CLOSE);
    at = putAll(OUT, at, CRLF);
    this.send(OUT, 0, at);
    if (id >= 0) cells.add(id, Cell.requests, 1);
    cells.add(-1, Cell.bytesOut, at);
    this.status = this.service!.options.status;
    this.outBytes += at;
    this.sentTo = id;
  }

  // ---- one that has the file ---------------------------------------------------------------------------------------
  private lookUp(mirrors: Mirrors): void {
    const wanted = wantedOf(this.requestBytes!, this.from, this.to, this.front.head.fields);
    // What stood before `.meta4` may do so only now.
    if (leavesFolder(wanted.path)) {
      this.refuse(refusalOf(Refused.TARGET));
      return;
    }
    // A folder has no size that could agree.
    if (wanted.path.endsWith("/") && wanted.form === "file") {
      this.anywhere();
      return;
    }
    if (wanted.path.length > LONGEST_PATH) {
      this.unknown(mirrors, wanted);
      return;
    }
    mirrors.wanted.add(wanted.path);
    const entry = mirrors.look(wanted.path);
    if (entry !== null) {
      this.tell(mirrors, wanted, entry);
      return;
    }
    this.wanted = wanted;
    this.waiting = mirrors.options.wait > 0 && mirrors.book.ask(wanted.path, this);
    if (this.waiting) this.front.wheel.set(this, mirrors.options.wait);
    else {
      mirrors.book.recheck(wanted.path);
      this.unknown(mirrors, wanted);
    }
  }

  settled(entry: FileEntry): void {
    if (!this.waiting) return;
    this.waiting = false;
    this.front.wheel.clear(this);
    this.tell(this.service!.mirrors!, this.wanted!, entry);
    this.nextRequests();
  }

  override expired(): void {
    if (!this.waiting) {
      super.expired();
      return;
    }
    this.waiting = false;
    const mirrors = this.service!.mirrors!;
    const found = mirrors.book.leave(this.wanted!.path, this);
    if (found === null) this.unknown(mirrors, this.wanted!);
    else this.tell(mirrors, this.wanted!, found);
    this.nextRequests();
  }

  /** Nobody has said yet who has it: the fallback has it, or else a backend may. */
  private unknown({ fallback }: Mirrors, { form }: Wanted): void {
    if (form !== "file") this.fail(503, "SLUICE_FILE_UNKNOWN", "");
    else if (fallback !== null) this.refer(fallback, -1, VARY);
    else this.anywhere();
  }

  private tell(mirrors: Mirrors, wanted: Wanted, entry: FileEntry): void {
    const { place, key } = this;
    const { form } = wanted;
    if (entry.version === null && !entry.missing && form !== "page") {
      this.unknown(mirrors, wanted);
      return;
    }
    if (form === "list" || form === "page") {
      this.document(
        entry.holders.length > 0 || form === "page" ? mirrors.list(entry, place, key, form === "page") : null,
        form,
      );
      return;
    }
    if (form === "metalink") {
      this.document(mirrors.metalink(entry, place, key), form);
      return;
    }
    const service = this.service!;
    const id = entry.holders.length === 0 ? -1 : service.near.pick(place, key, mirrors.without(entry));
    const goal = id < 0 ? null : service.goal(id);
    if (goal !== null) this.refer(goal, id, `${mirrors.links(entry, place, key)}${VARY}`);
    else if (mirrors.fallback !== null) this.refer(mirrors.fallback, -1, VARY);
    else if (entry.version === null) this.missing();
    else this.fail(503, "SLUICE_NO_BACKEND", "");
  }

  private missing(): void {
    this.service!.cells.add(-1, Cell.errors, 1);
    this.reply(
      404,
      "text/plain; charset=utf-8",
      "SLUICE_NO_FILE: No backend has this file.\n",
      "Sluice-Reason: SLUICE_NO_FILE\r\n",
    );
  }

  private document(body: string | null, form: "metalink" | "list" | "page"): void {
    if (body === null) this.missing();
    else this.reply(200, TYPES[form], body, `Cache-Control: no-cache\r\n`);
  }

  private reply(status: number, type: string, body: string, fields: string): void {
    this.status = status;
    this.redirected = true;
    const { close, isHead } = this;
    const date = dateLine(Date.now());
    this.answer(toReply({ status, date, close, isHead, type, fields: `${fields}${VARY}`, body }));
    this.goOn();
  }

  // ---- the rest ----------------------------------------------------------------------------------------------------
  protected body(): void {
    this.takeBody();
    if (this.reading !== Reading.NEXT) return;
    this.next();
    this.nextRequests();
  }

  protected override went(): ReturnType<Client<Goals>["went"]> {
    const service = this.service;
    const backend = this.sentTo < 0 ? undefined : service?.balancer.backend(this.sentTo);
    const went = { backend: backend ? (backend.url ?? backendName(backend)) : "", attempts: backend ? 1 : 0 };
    if (service?.located !== true) return went;
    return { ...went, country: service.countryOf(this.address), backendCountry: service.countryAt(this.sentTo) };
  }

  protected bodyPart(): void {}
  protected over(): void {
    if (!this.waiting) return;
    this.waiting = false;
    this.service?.mirrors?.book.leave(this.wanted!.path, this);
  }
  protected cut(): void {
    this.hangUp();
  }
  /** The answer leaves before the body is read: what is wrong with the body can only close the connection. */
  protected override mayAnswer(): boolean {
    return this.answered || !this.redirected;
  }
}
