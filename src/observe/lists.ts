import type { BackendState } from "../core/backend.ts";
import { backendCells, backendHead, backendRight } from "./backend-cells.ts";
import type { BackendStatus, ServiceStatus, StatusModel } from "./status.ts";
import { aligned } from "./table.ts";
import { bytesText, countText } from "./units.ts";

const serviceHead = ["SERVICE", "METHOD", "STATE", "ELIGIBLE", "WORK", "ERRORS", "IN", "OUT", "SCHEDULER", "WHERE"];
const serviceRight = new Set([3, 4, 5, 6, 7]);

/** None of its backends may get work. */
export const isEmpty = ({ backends }: ServiceStatus): boolean => !backends.some(({ eligible }) => eligible);

/** Its state; `empty` where it serves and has nobody to serve with. */
const serviceWord = (service: ServiceStatus): string =>
  service.state === "serving" && isEmpty(service) ? "empty" : service.state;

/** A line for each service; its work is requests, where those are not seen connections, else packets. */
export const servicesText = (services: readonly ServiceStatus[]): string =>
  aligned(
    [
      serviceHead,
      ...services.map((service) => [
        service.name,
        service.method,
        serviceWord(service),
        `${service.backends.filter(({ eligible }) => eligible).length}/${service.backends.length}`,
        countText(service.counts.requests ?? service.counts.connections ?? service.counts.packetsIn),
        countText(service.counts.errors),
        bytesText(service.counts.bytesIn),
        bytesText(service.counts.bytesOut),
        service.scheduler || "-",
        [...service.listeners, ...service.names].join(" "),
      ]),
    ],
    serviceRight,
  ).join("\n");

/** A backend with the service that it belongs to. */
export interface OwnedBackend extends BackendStatus {
  service: string;
}

/** Which backends a list is to have; absent: whatever it is. */
export interface BackendFilter {
  service?: string | undefined;
  state?: BackendState | undefined;
}

/** The backends of an instance that pass the filter, service by service. */
export const backendsOf = ({ services }: StatusModel, { service, state }: BackendFilter): OwnedBackend[] =>
  services
    .filter(({ name }) => service === undefined || name === service)
    .flatMap(({ name, backends }) => backends.map((backend) => ({ service: name, ...backend })))
    .filter((backend) => state === undefined || backend.state === state);

/** A line for each backend; `at` is now, in ms since 1970. */
export const backendsText = (backends: readonly OwnedBackend[], at: number): string =>
  aligned(
    [
      ["SERVICE", ...backendHead.slice(1)],
      ...backends.map((backend) => [backend.service, ...backendCells(backend, at).slice(1)]),
    ],
    backendRight,
  ).join("\n");
