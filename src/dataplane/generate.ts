/** The parts of a type in bpftool's JSON dump of BTF that are read here. */
interface BtfType {
  id: number;
  kind: string;
  name: string;
  size?: number;
  type_id?: number;
  nr_elems?: number;
  members?: { name: string; type_id: number; bits_offset: number }[];
  values?: { name: string; val: number }[];
}

/** Structs that control reads or writes, in the order of the output. */
export const planeStructs = [
  "control",
  "arrival",
  "service",
  "table",
  "backend",
  "slot_orders",
  "next_hop",
  "flow_bucket",
  "fragment_key",
  "fragment",
  "backend_count",
  "drop_count",
  "device",
  "wanted_key",
  "busy",
  "decap_config",
  "decap_count",
  "sweep_order",
  "trace_order",
  "trace_term",
  "trace_record",
  "limits",
  "guard",
  "list_key",
  "decision",
  "turns",
  "load",
  "region_key",
  "place_services",
];
export const dnsStructs = [
  "dns_endpoint",
  "dns_level",
  "dns_control",
  "dns_slot",
  "dns_node",
  "dns_kind",
  "dns_set",
  "dns_block",
  "dns_first",
  "dns_tree",
  "dns_draw",
  "dns_part",
  "dns_stride",
  "dns_ready",
];

const camel = (name: string): string => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
const pascal = (name: string): string => camel(`_${name}`);

/**
 * TypeScript of a BTF dump: for each struct its size and the byte offset of each field, for each `enum sluice_…` its
 * numbers. Pure: the same dump gives the same bytes.
 */
export function generate(dump: { types: BtfType[] }, structs: readonly string[]): string {
  const out = [
    "// Generated from the object's BTF by src/dataplane/build.ts. Not edited by hand.",
    "// Structs: size and byte offsets of the fields. Numbers: the enums of bpf/limits.h.",
  ];
  const byName = new Map(dump.types.filter((t) => t.kind === "STRUCT").map((t) => [t.name, t]));
  for (const name of structs) {
    const type = byName.get(name);
    if (!type) throw new Error(`struct ${name} is not in the object's BTF`);
    const fields = (type.members ?? [])
      .filter((m) => !m.name.startsWith("spare"))
      .map((m) => `  ${camel(m.name)}: ${m.bits_offset / 8},`);
    out.push("", `export const ${camel(name)} = {`, `  size: ${type.size},`, ...fields, "} as const;");
  }
  for (const type of dump.types) {
    if (type.kind !== "ENUM" || !type.name.startsWith("sluice_")) continue;
    const values = (type.values ?? []).map((v) => `  ${v.name}: ${v.val},`);
    out.push("", `export const ${pascal(type.name.slice("sluice_".length))} = {`, ...values, "} as const;");
  }
  return `${out.join("\n")}\n`;
}
