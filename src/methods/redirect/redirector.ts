import { backendName } from "../../core/backend.ts";
import type { WorkerDoors } from "../../core/method.ts";
import type { Service } from "../../core/service.ts";
import { dateLine } from "../../protocols/http/date.ts";
import { ascii } from "../../protocols/http/octets.ts";
import { Refused, refusalOf } from "../../protocols/http/refusal.ts";
import { reasonOf } from "../../protocols/http/reply.ts";
import { Form } from "../../protocols/http/target.ts";
import { put, putAll } from "../../protocols/http/write.ts";
import { Client, Reading } from "../../relay/client.ts";
import { Cell, ServiceState } from "../../relay/service-state.ts";
import { OUT } from "../../relay/wire.ts";
import { isSafePath, locationBase } from "./location.ts";
import type { RedirectOptions } from "./options.ts";

const NONE_TRIED: ReadonlySet<number> = new Set();
/** A request body up to this size is read away, so that the connection lives on; bytes. */
const READ_AWAY = 64 * 1024;
const CLOSE = ascii("Connection: close\r\n");
const CRLF = ascii("\r\n");
const SLASH = 47;

/** A backend as this method needs it: the answer up to the request's path, made once. */
interface Goal {
  prefix: Buffer;
  /** Its url has a path, which the request's must not leave. */
  confined: boolean;
}

/** One redirect service: the answers to its backends. */
export class Goals extends ServiceState<RedirectOptions> {
  private goals: (Goal | undefined)[] = [];

  constructor(service: Service, doors: WorkerDoors) {
    super(service as Service<RedirectOptions>, doors);
  }

  /** Null when the backend is not of the service any more. */
  goal(id: number): Goal | null {
    const known = this.goals[id];
    if (known !== undefined) return known;
    const backend = this.balancer.backend(id);
    if (backend === undefined) return null;
    const { status, scheme } = this.options;
    const base = locationBase(backend, scheme, this.service.listen[0]!.port);
    const prefix = ascii(`HTTP/1.1 ${status} ${reasonOf(status)}\r\nContent-Length: 0\r\nLocation: ${base}`);
    const goal = { prefix, confined: new URL(base).pathname !== "/" };
    this.goals[id] = goal;
    return goal;
  }

  /** The balancer has a new snapshot: addresses and urls may have changed. */
  changed(): void {
    this.goals = [];
  }
}

/** A client connection whose requests are sent elsewhere. */
export class Redirector extends Client<Goals> {
  private redirected = false;
  /** The backend that the client was sent to; -1: none. */
  private sentTo = -1;

  protected request(): void {
    const { head } = this.front;
    const service = this.service!;
    const { form, pathStart, pathEnd } = head.target;
    const bytes = this.requestBytes!;
    this.redirected = false;
    this.sentTo = -1;
    const id = service.balancer.pick(this.key, NONE_TRIED);
    const goal = id < 0 ? null : service.goal(id);
    if (goal === null) {
      this.fail(503, "SLUICE_NO_BACKEND", "");
      return;
    }
    if (form === Form.ASTERISK || !isSafePath(bytes, pathStart, pathEnd, goal.confined)) {
      this.refuse(refusalOf(Refused.TARGET));
      return;
    }
    // A client that waits for 100 may keep its body back: what follows could be either.
    if (this.bodyLeft < 0 || this.bodyLeft > READ_AWAY || this.expect) this.close = true;
    this.redirect(goal, id, bytes, pathStart, pathEnd);
    if (this.close && this.reading === Reading.BODY) {
      this.hangUp();
      return;
    }
    this.takeBody();
    if (this.reading === Reading.NEXT) this.next();
  }

  private redirect(goal: Goal, id: number, bytes: Buffer, pathStart: number, pathEnd: number): void {
    const { balancer, cells } = this.service!;
    this.redirected = true;
    balancer.began(id);
    let at = putAll(OUT, 0, goal.prefix);
    if (pathStart === pathEnd || bytes[pathStart] !== SLASH) OUT[at++] = SLASH;
    at = putAll(OUT, put(OUT, at, bytes, pathStart, pathEnd), CRLF);
    at = putAll(OUT, at, dateLine(Date.now()));
    if (this.close) at = putAll(OUT, at, CLOSE);
    at = putAll(OUT, at, CRLF);
    this.wire.send(OUT, 0, at, true);
    balancer.ended(id, "done");
    cells.add(id, Cell.requests, 1);
    cells.add(-1, Cell.bytesOut, at);
    this.status = this.service!.options.status;
    this.outBytes += at;
    this.sentTo = id;
  }

  protected body(): void {
    this.takeBody();
    if (this.reading !== Reading.NEXT) return;
    this.next();
    this.nextRequests();
  }

  protected override went(): { backend: string; attempts: number } {
    const backend = this.sentTo < 0 ? undefined : this.service?.balancer.backend(this.sentTo);
    return { backend: backend ? (backend.url ?? backendName(backend)) : "", attempts: backend ? 1 : 0 };
  }

  protected bodyPart(): void {}
  protected over(): void {}
  protected cut(): void {
    this.hangUp();
  }
  /** The answer leaves before the body is read: what is wrong with the body can only close the connection. */
  protected override mayAnswer(): boolean {
    return this.answered || !this.redirected;
  }
}
