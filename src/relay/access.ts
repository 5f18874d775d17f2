import type { WorkerDoors } from "../core/method.ts";
import { type Access, type AccessLogOptions, accessLine } from "../observe/access-log.ts";
import { LogFile } from "../observe/log-file.ts";
import { fieldText } from "../protocols/http/field-block.ts";
import { ascii } from "../protocols/http/octets.ts";
import { parseRequest, RequestHead, type RequestLimits } from "../protocols/http/request.ts";
import { Cell } from "./service-state.ts";

const REFERER = ascii("referer");
const AGENT = ascii("user-agent");

/** The head of a logged request; read once more when it is over, for others have used the front's meanwhile. */
let head = new RequestHead({ fields: 100 });

/** What a client connection knows of a request that is over; the rest stands in the request's own bytes. */
export type Ended = Omit<Access, "service" | "method" | "target" | "minor" | "host" | "referer" | "agent">;

/** The access log of one service in one worker. */
export class ServiceLog {
  private readonly service: string;
  private readonly format: AccessLogOptions["format"];
  private readonly file: LogFile;

  constructor(service: string, format: AccessLogOptions["format"], file: LogFile) {
    this.service = service;
    this.format = format;
    this.file = file;
  }

  /** `bytes`: the request from `start` on; null when its head was refused. */
  write(ended: Ended, bytes: Buffer | null, start: number, limits: RequestLimits): void {
    const texts = { method: "", target: "", minor: 1, host: "", referer: "", agent: "" };
    if (bytes !== null) read(bytes, start, limits, texts);
    const { at, took, ...rest } = ended;
    this.file.push(accessLine({ at, took, service: this.service, ...texts, ...rest }, this.format));
  }
}

function read(bytes: Buffer, start: number, limits: RequestLimits, texts: Record<string, string | number>): void {
  if (head.fields.id.length < limits.fields) head = new RequestHead(limits);
  if (parseRequest(bytes, start, bytes.length, limits, head) <= 0) return;
  const { fields } = head;
  texts.method = bytes.toString("latin1", head.methodStart, head.methodEnd);
  // The whole target, whatever its form: from behind the method to the version.
  const line = bytes.toString("latin1", head.methodEnd + 1, bytes.indexOf(13, head.methodEnd));
  texts.target = line.slice(0, line.lastIndexOf(" "));
  texts.minor = head.minor;
  if (head.hostStart >= 0) texts.host = bytes.toString("latin1", head.hostStart, head.hostEnd);
  texts.referer = fieldText(bytes, fields, REFERER) ?? "";
  texts.agent = fieldText(bytes, fields, AGENT) ?? "";
}

/** The log files of one worker; services may share one. */
export class LogFiles {
  private readonly files = new Map<string, LogFile>();
  private readonly doors: WorkerDoors;

  constructor(doors: WorkerDoors) {
    this.doors = doors;
  }

  /** The log of a service; null when it wants none. That its file cannot be opened is said, and traffic goes on. */
  open(service: string, options: AccessLogOptions | null): ServiceLog | null {
    if (options === null) return null;
    const { file: path, format } = options;
    return new ServiceLog(service, format, this.files.get(path) ?? this.make(service, path));
  }

  private make(service: string, path: string): LogFile {
    const cells = this.doors.cells(service);
    const dropped = (lines: number, why: string): void => {
      cells.add(-1, Cell.unlogged, lines);
      this.doors.log("warn", "access log lines dropped", { file: path, why });
    };
    const file = new LogFile(path, { dropped });
    this.files.set(path, file);
    this.openFile(file);
    return file;
  }

  private openFile(file: LogFile): void {
    const error = file.open();
    if (error !== null) this.doors.log("error", "access log cannot be opened", { file: file.path, error });
  }

  reopen(): void {
    for (const file of this.files.values()) this.openFile(file);
  }

  async end(): Promise<void> {
    await Promise.all([...this.files.values()].map((file) => file.end()));
  }
}
