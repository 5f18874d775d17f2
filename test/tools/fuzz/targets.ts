import { agentLine } from "./agent-line.ts";
import { chunked } from "./chunked.ts";
import { routeConditions } from "./conditions.ts";
import { config } from "./config.ts";
import { dns } from "./dns.ts";
import { dnsXdp } from "./dns-xdp.ts";
import { httpRequest } from "./http-request.ts";
import { httpResponse } from "./http-response.ts";
import { packets } from "./packets.ts";
import { proxyProtocol } from "./proxy-protocol.ts";
import type { FuzzTarget } from "./target.ts";

/** All there is to fuzz, by the word of the command. */
export const targets: Record<string, FuzzTarget> = {
  "http-request": httpRequest,
  "http-response": httpResponse,
  chunked,
  "proxy-protocol": proxyProtocol,
  "agent-line": agentLine,
  "route-conditions": routeConditions,
  dns,
  "dns-xdp": dnsXdp,
  config,
  packets,
};
