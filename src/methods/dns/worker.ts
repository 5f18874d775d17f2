import type { Serving, WorkerDoors, WorkerSide } from "../../core/method.ts";
import type { Service } from "../../core/service.ts";
import type { Assignment } from "../../core/worker-protocol.ts";
import { placesOf, placeTrie } from "../../geo/places.ts";
import type { Transport } from "../../protocols/dns/respond.ts";
import { Answerer } from "./answerer.ts";
import { Client } from "./client.ts";
import { Datagrams } from "./datagrams.ts";
import { SigningAhead } from "./dnssec/ahead.ts";
import type { DnsSecrets } from "./dnssec/secrets.ts";
import { SigningRoom } from "./dnssec/zone-signing.ts";
import { Guard } from "./guard.ts";
import { createLive } from "./live-service.ts";
import { Notifier } from "./notifier.ts";
import type { DnsOptions, DnsSettings } from "./options.ts";
import { PreparedAnswers } from "./prepared/prepared-answers.ts";
import { Site } from "./site.ts";
import { TALLY_NAME, tallyOf } from "./tally.ts";
import { TcpServer } from "./tcp-server.ts";
import { serveUdp, type UdpServer } from "./udp-server.ts";
import { Why } from "./why.ts";

/** After so many ms what was answered is counted. */
const COUNTED = 50;

/** Serves all dns services of an assignment on its UDP and TCP sockets. */
export const workerSide: WorkerSide = {
  async serve(assignment: Assignment, doors: WorkerDoors): Promise<Serving> {
    const settings = assignment.settings.dns as DnsSettings;
    const services = assignment.services as Service<DnsOptions>[];
    const live = createLive(services, assignment.seed, doors, placesOf(assignment.geography));
    const site = new Site([...live.values()], settings, assignment.epoch + assignment.revision);
    const notifier = assignment.first ? new Notifier(settings, doors.log) : null;
    const { dnssec } = settings;
    const signing = dnssec === undefined ? null : new SigningRoom(dnssec, doors.now, assignment.seed);
    const ahead = new SigningAhead(live, (owner) => site.at(owner)?.zone.signing ?? null, dnssec?.cache ?? 0);
    const secrets = (value: unknown): void => {
      if (signing === null || !value) return;
      site.sign(value as DnsSecrets, signing);
      ahead.renewed();
    };
    secrets(assignment.secrets?.dns);
    const client = new Client(assignment.seed, placeTrie(assignment.geography), settings.clientSubnet);
    let serial = assignment.revision;
    /** The first revision that other servers have not been told of. */
    let untold = assignment.revision;
    const guard = new Guard(settings, assignment.seed, doors.now);
    const tally = tallyOf(doors.cells(TALLY_NAME));
    const answerer = new Answerer(site, client, tally, guard, settings);
    answerer.why = whyOf(assignment, doors);
    const [udp, tcp] = transportsOf(settings);
    const limits = { ...settings.tcp, own: assignment.connectionLimit };

    const later = (call: () => void): void => void setTimeout(call, COUNTED);
    const prepared = new PreparedAnswers(site, settings.clientSubnet, tally, later);
    const datagrams = new Datagrams(answerer, guard, prepared, udp);
    const udpServers: UdpServer[] = [];
    const tcpServers: TcpServer[] = [];
    for (const socket of assignment.sockets) {
      if (socket.protocol === "udp") udpServers.push(await serveUdp(socket, datagrams));
      else tcpServers.push(new TcpServer(answerer, tcp, limits, doors).listen(socket.fd));
    }
    return {
      secrets,
      changed(service) {
        live.get(service)?.changed();
        ahead.changed(service);
        const { revision } = doors.balancer(service).snapshot;
        if (revision > serial) site.renumber(assignment.epoch + revision);
        serial = Math.max(serial, revision);
        // A revision's snapshots come when it is in force: before, others who ask could still meet older workers.
        if (revision < untold) return;
        untold = revision + 1;
        notifier?.tell(() => site.transferable());
      },
      async drain(deadlineMs) {
        notifier?.stop();
        ahead.stop();
        const udpDone = udpServers.map((server) => server.drain());
        await Promise.all([...udpDone, ...tcpServers.map((server) => server.drain(deadlineMs))]);
      },
    };
  },
};

/** Explains answers to those who may ask why; null: nobody may. */
function whyOf({ services, settings, geography, seed }: Assignment, doors: WorkerDoors): Why | null {
  const dns = settings.dns as DnsSettings;
  if (dns.debug === undefined) return null;
  const snapshot = (service: string) => doors.balancer(service).snapshot;
  return new Why(dns.debug.from, {
    services: services as Service<DnsOptions>[],
    settings: dns,
    geography,
    seed,
    snapshot,
  });
}

/** What an answer may hold over UDP, and over TCP. RFC 7828: the time that a connection may idle is told in 100 ms. */
function transportsOf(settings: DnsSettings): [udp: Transport, tcp: Transport] {
  const nsid = settings.nsid === undefined ? null : new TextEncoder().encode(settings.nsid);
  const udp: Transport = { tcp: false, udpSize: settings.udpSize, keepalive: 0, nsid };
  return [udp, { ...udp, tcp: true, keepalive: Math.min(65535, Math.floor(settings.tcp.idle / 100)) }];
}
