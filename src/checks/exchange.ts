import type { ProbeTarget, Verdict } from "../core/check.ts";
import type { Code } from "../core/codes.ts";
import { formatDuration } from "../core/words.ts";
import { now } from "../runtime/clock.ts";
import { Dialler } from "../runtime/dial.ts";
import type { ConnectFailure, ConnectHandlers, TcpSocket } from "../runtime/tcp.ts";

/** What a probe does once it is connected: `null` means go on. */
export interface Conversation {
  /** Sent as soon as the connection (and its TLS) stands. */
  request?: Uint8Array;
  /** Connected. A verdict ends it before a byte is sent; where nothing is ever sent, it must give one. */
  connected?(): Finding | null;
  received(chunk: Buffer): Finding | null;
  /** The backend closed its side. */
  ended(): Finding;
}

/** A verdict without its latency. */
export type Finding = Omit<Verdict, "latency">;

export interface ProbeTls {
  /** Name for SNI and for the certificate; without one the certificate must be for the address. */
  name?: string;
  /** Take any certificate. */
  insecure?: boolean;
}

export const passed = (detail: string): Finding => ({ passed: true, code: "SLUICE_CHECK_OK", detail });
export const failed = (code: Code, detail: string): Finding => ({ passed: false, code, detail });

const failures: Record<ConnectFailure, Code> = {
  refused: "SLUICE_CHECK_REFUSED",
  timeout: "SLUICE_CHECK_TIMEOUT",
  unreachable: "SLUICE_CHECK_UNREACHABLE",
  local: "SLUICE_CHECK_LOCAL",
};

const unanswered: ReadonlySet<Code> = new Set([
  "SLUICE_CHECK_TIMEOUT",
  "SLUICE_CHECK_UNREACHABLE",
  "SLUICE_CHECK_LOCAL",
]);

/**
 * One connection to a backend that may be hostile: connects, talks as the conversation says, and resets the
 * connection. Never throws; resolves within `timeout` ms whatever the backend does.
 *
 * The end is a reset, not a FIN: a probe from a fixed source port must leave no TIME_WAIT behind, or the next one
 * could not bind.
 */
export function exchange(
  target: ProbeTarget,
  conversation: Conversation,
  timeout: number,
  tls?: ProbeTls,
): Promise<Verdict> {
  return new Promise((resolve) => new Probe(target, conversation, timeout, tls, resolve).start());
}

class Probe {
  readonly #target: ProbeTarget;
  readonly #conversation: Conversation;
  readonly #timeout: number;
  readonly #tls: ProbeTls | undefined;
  readonly #resolve: (verdict: Verdict) => void;
  readonly #started = now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #cancel: (() => void) | undefined;
  #socket: TcpSocket<Probe> | undefined;
  #sent = 0;
  #secure = false;
  #over = false;

  constructor(
    target: ProbeTarget,
    conversation: Conversation,
    timeout: number,
    tls: ProbeTls | undefined,
    resolve: (verdict: Verdict) => void,
  ) {
    this.#target = target;
    this.#conversation = conversation;
    this.#timeout = timeout;
    this.#tls = tls;
    this.#resolve = resolve;
  }

  start(): void {
    const { address, port, source } = this.#target;
    const { connected, request } = this.#conversation;
    const tls = this.#tls && {
      rejectUnauthorized: !this.#tls.insecure,
      ...(this.#tls.name ? { serverName: this.#tls.name } : {}),
    };
    // Who sends nothing asks only whether a connection comes about.
    const knocks = connected && !request && !tls;
    const { cancel } = (knocks ? knocker : dialler).connect(
      // This probe's own timer is the one that counts; the connection's must not come first with another sentence.
      {
        address,
        port,
        timeout: this.#timeout + 1000,
        data: this,
        ...(source ? { source } : {}),
        ...(tls ? { tls } : {}),
      },
    );
    this.#cancel = cancel;
    // Most that only knock on the same host are over by now.
    if (this.#over) cancel();
    else this.#timer = setTimeout(() => this.#timedOut(), this.#timeout);
  }

  /** It stood at once, and is gone already. */
  stood(): void {
    this.#guard(() => this.#conversation.connected!());
  }

  open(socket: TcpSocket<Probe>): void {
    if (this.#over) return void socket.terminate();
    this.#socket = socket;
    if (!this.#tls) this.#talk();
  }

  shaken(authorized: boolean, error: Error | null): void {
    if (!this.#tls || this.#over) return;
    const fault = this.#tlsFault(this.#tls, authorized, error);
    if (fault) this.finish(failed("SLUICE_CHECK_TLS", fault));
    this.#secure = true;
    this.#talk();
  }

  #tlsFault({ insecure }: ProbeTls, authorized: boolean, error: Error | null): string | undefined {
    if (insecure) return error && !isCertificateError(error) ? `handshake failed: ${reason(error)}` : undefined;
    return authorized ? undefined : `certificate refused: ${reason(error)}`;
  }

  #talk(): void {
    this.#guard(() => this.#conversation.connected?.() ?? null);
    this.send();
  }

  send(): void {
    const { request } = this.#conversation;
    if (this.#over || !request || !this.#socket || (this.#tls && !this.#secure)) return;
    if (this.#sent < request.length) {
      // -1 is a closed socket: its `close` follows and tells more.
      this.#sent += Math.max(0, this.#socket.write(request, this.#sent, request.length - this.#sent));
    }
  }

  received(chunk: Buffer): void {
    this.#guard(() => this.#conversation.received(chunk));
  }

  closed(reset: boolean): void {
    if (this.#over) return;
    if (this.#tls && !this.#secure) this.finish(failed("SLUICE_CHECK_TLS", "connection closed in the handshake"));
    else if (reset) this.finish(failed("SLUICE_CHECK_CLOSED", "connection reset"));
    else this.#guard(() => this.#conversation.ended());
  }

  #timedOut(): void {
    const within = `within ${formatDuration(this.#timeout)}`;
    this.finish(
      failed(
        "SLUICE_CHECK_TIMEOUT",
        this.#socket ? `no answer ${within}` : `no ${this.#tls ? "TLS " : ""}connection ${within}`,
      ),
    );
  }

  #guard(step: () => Finding | null): void {
    if (this.#over) return;
    try {
      const finding = step();
      if (finding) this.finish(finding);
    } catch (error) {
      this.finish(failed("SLUICE_INTERNAL", String(error)));
    }
  }

  finish(finding: Finding): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#cancel?.();
    this.#socket?.terminate();
    const answered = !unanswered.has(finding.code);
    this.#resolve({ ...finding, latency: answered ? now() - this.#started : null });
  }
}

const handlers: ConnectHandlers<Probe> = {
  open: (socket) => socket.data.open(socket),
  handshake: ({ data: probe }, authorized, error) => probe.shaken(authorized, error),
  data: ({ data: probe }, chunk) => probe.received(chunk),
  drain: ({ data: probe }) => probe.send(),
  end: ({ data: probe }) => probe.closed(false),
  close: ({ data: probe }, error) => probe.closed(error !== undefined),
  error: ({ data: probe }, error) => probe.finish(failed("SLUICE_INTERNAL", error.message)),
  failed: (probe, why, detail) => probe.finish(failed(failures[why], detail)),
};

/** Of all probes: handlers of its own for each of twenty thousand would cost more than the connection. */
const dialler = new Dialler<Probe>(handlers);
const knocker = new Dialler<Probe>({ ...handlers, stood: (probe) => probe.stood() });

/** OpenSSL's own words for a failed verification are fixed sentences; anything else may hold the peer's bytes. */
const reason = (error: Error | null): string => (error as { code?: string } | null)?.code ?? "not trusted";

/** Verification failures are reported also when they were not asked for. */
const isCertificateError = (error: Error): boolean => /CERT|SELF_SIGNED|VERIFY|ISSUER|CRL|HOSTNAME/.test(reason(error));
