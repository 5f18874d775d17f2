import { configProblem, type Problem } from "../../core/problem.ts";
import type { Service } from "../../core/service.ts";
import { nameToWire } from "../../protocols/dns/name.ts";
import type { DnsOptions } from "./options.ts";

/** Names that DNS cannot carry; a star is only whole and only in front (RFC 4592 2.1.1). */
export function judge(service: Service<DnsOptions>): Problem[] {
  const problems: Problem[] = [];
  service.names.forEach((name, i) => {
    const path = ["names", i];
    if (name === "." || name === "" || nameToWire(name) === null) {
      problems.push(
        configProblem("SLUICE_CONFIG_VALUE", path, `"${name}" is not a domain name.`, {
          hint: "Labels have 1 to 63 octets, a name at most 255.",
        }),
      );
    } else if (!name.includes(".")) {
      problems.push(
        configProblem("SLUICE_CONFIG_VALUE", path, `"${name}" has a single label: a zone cannot be made of it.`, {
          hint: "Write the whole name, such as shop.example.com.",
        }),
      );
    }
  });
  return problems;
}

/** A name can be answered by one dns service only. Paths begin with the service's name. */
export function judgeTogether(services: readonly Service<DnsOptions>[]): Problem[] {
  const owners = new Map<string, string>();
  const problems: Problem[] = [];
  for (const service of services) {
    service.names.forEach((name, i) => {
      const owner = owners.get(name);
      if (owner === undefined) {
        owners.set(name, service.name);
        return;
      }
      const where = owner === service.name ? "twice in this service" : `already answered by service "${owner}"`;
      problems.push(
        configProblem("SLUICE_CONFIG_DUPLICATE", [service.name, "names", i], `"${name}" is ${where}.`, {
          hint: "Name it once: a query is answered by one service.",
        }),
      );
    });
  }
  return problems;
}
