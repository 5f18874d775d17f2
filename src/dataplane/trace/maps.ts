/** What the programs of the director and of a real server share with who watches their packets. */
export const traceMaps = ["trace_orders", "trace_records", "trace_ring"] as const;
