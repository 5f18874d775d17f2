import type { WorkerSide } from "../../core/method.ts";
import type { Service } from "../../core/service.ts";
import { Backends } from "../../relay/backends.ts";
import { Datagrams } from "../../relay/datagrams.ts";
import { Forwarder } from "../../relay/forwarder.ts";
import type { GateRules } from "../../relay/gate.ts";
import { toClientLimits } from "../../relay/limits.ts";
import type { BackendLimits } from "../../relay/pool.ts";
import { RESPONSE_FIELDS } from "../../relay/responses.ts";
import { serveHttp } from "../../relay/serve.ts";
import { Streamer } from "../../relay/streamer.ts";
import { TrustList } from "../../relay/trust.ts";
import type { ProxyOptions } from "./options.ts";

const optionsOf = (service: Service): ProxyOptions => service.options as ProxyOptions;

function backendLimits({ timeouts, limits, mode, sendProxy }: ProxyOptions): BackendLimits {
  return {
    size: limits.response,
    fields: RESPONSE_FIELDS,
    connectTimeout: timeouts.connect,
    responseTimeout: timeouts.response,
    readTimeout: timeouts.read,
    poolTimeout: timeouts.pool,
    // A connection that was introduced as one client's must not carry another's.
    poolSize: mode === "tcp" || sendProxy !== undefined ? 0 : limits.pool,
    tunnelTimeout: timeouts.tunnel,
  };
}

const gateRules = ({ limits, queue, retryBudget }: ProxyOptions): GateRules => ({
  perBackend: limits.backend ?? Number.POSITIVE_INFINITY,
  queueSize: queue.size,
  queueTimeout: queue.timeout,
  retryShare: retryBudget.percent / 100,
  retryLeast: retryBudget.least,
});

/** Serves the proxy services of one worker. */
export const workerSide: WorkerSide = {
  async serve(assignment, doors) {
    return serveHttp<Backends>(assignment, doors, {
      state(service, _doors, shared) {
        const options = optionsOf(service);
        const rules = {
          ...options,
          trusted: new TrustList(options.trusted),
          failureStatuses: options.health.ejection === false ? [] : options.health.ejection.statuses,
        };
        return new Backends(service, doors, shared, rules, backendLimits(options), gateRules(options));
      },
      client: (front) =>
        front.site.fallback !== null && optionsOf(front.site.fallback.service).mode === "tcp"
          ? new Streamer(front)
          : new Forwarder(front),
      datagrams(state, shared, socket) {
        const { udp, limits } = optionsOf(state.service);
        const { perAddress = Number.POSITIVE_INFINITY, ipv6Prefix } = limits;
        const rules = { ...udp, perAddress, ipv6Prefix };
        return new Datagrams(shared, state, rules, socket);
      },
      backendFirst: (service) => optionsOf(service).mode === "tcp",
      introducers: (service) => optionsOf(service).acceptProxy,
      limits(service) {
        const { timeouts, limits } = optionsOf(service);
        return toClientLimits(timeouts, limits, limits.body);
      },
      changed: (state) => state.changed(),
    });
  },
};
